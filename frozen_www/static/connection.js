// A WebSocket that comes back by itself. Where there is none, as in the windows in which phones show
// a network's sign-in page, requests take its place.

// Waits, in milliseconds.
const RETRY_MIN = 500;
const RETRY_FIRST = 1000;
const RETRY_MAX = 15000;
const OPENING_MAX = 10000; // a device that has gone answers nothing, and browsers wait for minutes
const QUIET_MAX = 10000; // then the device is asked for a sign of life: pages can't send pings
const COMMAND_MAX = 2500; // likewise after a command
const ANSWER_MAX = 2500;
const POLL = 2000; // without WebSocket

// What a close code of the device's tells; any other is a connection that was lost.
const REASONS = {
  1012: "Device is restarting",
  1013: "Device is busy",
};

// The close code 1001 stands for more than one.
const LEAVING = "testing another network";

function reasonOf({ code, reason }) {
  if (code === 1001 && reason === LEAVING) return "Device is testing another network";
  return REASONS[code];
}

/** Its one timer says what happens if nothing else does. */
export class Connection {
  constructor(url, handlers) {
    this.url = url;
    this.handlers = handlers; // status(text, retry), open(), close(reason), failed(), whole(), keys(object)
    this.online = false;
    this.polling = false;
    this.everOpen = false;
    this.failures = 0;
    this.reason = "";
  }

  open() {
    this.abandon();
    if (this.reason) this.handlers.status(this.reason, "; trying now");
    let socket;
    try {
      socket = new WebSocket(this.url);
    } catch {
      this.lost(); // there are browsers without
      return;
    }
    socket.onopen = () => {
      this.online = this.everOpen = true;
      this.listen();
      this.handlers.status("Connected", "");
      this.handlers.open();
    };
    socket.onmessage = (event) => {
      this.failures = 0;
      this.listen();
      this.take(event.data);
    };
    socket.onclose = (event) => this.lost(reasonOf(event));
    this.socket = socket;
    this.after(OPENING_MAX, () => this.lost());
  }

  /** A message that is no JSON object is one less, and no reason to stop. */
  take(data) {
    let keys;
    try {
      keys = JSON.parse(data);
    } catch {
      keys = null;
    }
    if (keys === null || typeof keys !== "object" || Array.isArray(keys))
      console.info("not understood:", data);
    else this.handlers.keys(keys);
  }

  after(wait, then) {
    clearTimeout(this.timer);
    this.timer = setTimeout(then, wait);
  }

  /** Forgets the socket without waiting for a closing handshake that a dead peer never answers. */
  abandon() {
    clearTimeout(this.timer);
    this.online = this.polling = this.asked = false;
    if (!this.socket) return;
    this.socket.onopen = this.socket.onmessage = this.socket.onclose = null;
    this.socket.close();
    this.socket = null;
  }

  lost(reason) {
    const wasOnline = this.online;
    this.abandon();
    this.reason = reason ?? "Connection lost";
    if (wasOnline) this.handlers.close(this.reason);
    else this.handlers.failed();
    const most = Math.min(RETRY_MAX, RETRY_FIRST * 2 ** this.failures++);
    this.wait(Date.now() + Math.max(RETRY_MIN, (most * (1 + Math.random())) / 2));
  }

  wait(due) {
    const left = due - Date.now();
    if (left <= 0) {
      this.open();
      return;
    }
    this.handlers.status(this.reason, `; trying again in ${Math.ceil(left / 1000)} s`);
    this.after(Math.min(left, 1000), () => this.wait(due));
  }

  listen() {
    this.asked = false;
    this.after(QUIET_MAX, () => this.check());
  }

  /** Is the device still there? The answer to "state" shows it and brings the page up to date. */
  check() {
    if (!this.online) {
      this.open();
      return;
    }
    if (this.polling) return;
    this.transmit("GET", "state", []);
    this.asked = true;
    this.after(ANSWER_MAX, () => this.lost());
  }

  /** False when it is too late: a socket that is closing takes messages and drops them. */
  send(verb, item, args, id) {
    if (!this.transmit(verb, item, args, id)) return false;
    // Not every command has an answer, but who is there answers a question.
    if (!this.asked && !this.polling) this.after(COMMAND_MAX, () => this.check());
    return true;
  }

  /** Does without WebSocket from now on; to be called when the device answers requests. */
  poll() {
    if (this.everOpen || this.online) return;
    clearTimeout(this.timer);
    this.online = this.polling = true;
    this.handlers.status("Connected, without live updates", "");
    this.handlers.open();
    this.ask();
  }

  async ask() {
    if (!this.polling) return;
    await this.exchange("api/state");
    if (this.polling) this.after(POLL, () => this.ask());
  }

  async exchange(path, options) {
    try {
      const response = await fetch(path, options);
      const keys = await response.json();
      if (path === "api/state") this.handlers.whole();
      this.handlers.keys(keys);
    } catch {
      if (this.polling) this.lost();
    }
  }

  /** With an `id` the answer has it. */
  transmit(...request) {
    const body = JSON.stringify(request.filter((each) => each !== undefined));
    if (this.polling) {
      this.exchange("api/command", { method: "POST", body });
      return true;
    }
    if (!this.online || this.socket.readyState !== WebSocket.OPEN) return false;
    this.socket.send(body);
    return true;
  }
}
