// How the dashboard talks to the relay: requests, and the live list that comes back by itself.

const RETRY_FIRST = 1000; // ms
const RETRY_MAX = 15000;

/** The relay's answer to a request; fails with an Error that says why in its own words. */
export async function ask(method, path, values) {
  const options = { method };
  if (values !== undefined) options.body = JSON.stringify(values);
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The relay does not answer.");
  }
  if (response.status === 401) location.assign(`login?next=${encodeURIComponent(location.hash)}`);
  if (!response.ok) throw new Error((await response.json()).error);
  return response;
}

export const askFor = async (path) => (await ask("GET", path)).json();

/** A name of a device in a path: its slashes stay. */
export const inPath = (name) => name.split("/").map(encodeURIComponent).join("/");

/** Lines of JSON as they come. */
export async function* linesOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) yield JSON.parse(line);
  }
}

/** Calls `take` with each message of the live list, `tell` with how the connection is. */
export function live(take, tell) {
  let failures = 0;
  const address = new URL("api/live", document.baseURI);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";

  function open() {
    const socket = new WebSocket(address.href);
    let opened = false;
    socket.onopen = () => {
      failures = 0;
      opened = true;
      tell("Connected", true);
    };
    socket.onmessage = (event) => take(JSON.parse(event.data));
    socket.onclose = () => {
      tell("Connection lost; trying again", false);
      // A handshake that fails may be one without a session, which a script is not told.
      if (!opened) ask("GET", "api/me").catch(() => {});
      setTimeout(open, Math.min(RETRY_MAX, RETRY_FIRST * 2 ** failures++) * (0.5 + Math.random()));
    };
  }
  open();
}
