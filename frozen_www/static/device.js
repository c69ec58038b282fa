// The device as the page knows it: its state by keys ("wifi/net/ip"), its log, its commands.

import { Connection } from "./connection.js";
import { addLine, asText, byId, setNote, setText } from "./dom.js";
import { inWords } from "./words.js";

export const OFFLINE = "Not connected: sending works again when the connection is back.";

const LOG_LINES = 200;

export let state = {};

let stale = true; // what is shown is from before this connection
let answerTo = null; // the note beside the last command: what goes wrong with it later belongs there
let lastLogged = ""; // the newest line that was fetched of the device's log
let bootTime = 0; // when the device started, by this browser's clock
const infos = new Set(); // what came as info since then, and is in that log too
const events = new Map(); // key that passes once -> what takes its value
const renderers = []; // called after each change
const requests = new Map(); // id -> {key, note, resolve, reject} of those that wait for an answer
let lastId = 0;

/** `take(value, keys, asked)` gets the value of a key that is no state. */
export const on = (key, take) => events.set(key, take);

/** Called after each change of the state or the connection. */
export const onRender = (render) => renderers.push(render);

export const render = () => renderers.forEach((each) => each());

export const online = () => connection.online;

/** A time of the device's, in seconds since its start, in ms since 1970: by its own clock, if that
 * is right. */
export const timeOf = (seconds) =>
  state.boot_time ? (state.boot_time + seconds) * 1000 : bootTime + seconds * 1000;

/** Seconds from a time of the device's until now. */
export const ageOf = (seconds) => (Date.now() - bootTime) / 1000 - seconds;

/** Date and time as people write it, in the device's time zone if it has one. */
export function asTime(time, options = { timeStyle: "medium" }) {
  try {
    return new Date(time).toLocaleString([], { ...options, timeZone: state.time_zone });
  } catch {
    return new Date(time).toLocaleString([], options); // no such zone
  }
}

export const log = (text, kind, time = Date.now()) =>
  addLine(byId("log"), inWords(text), LOG_LINES, kind, asTime(time));

/** What the device calls its commands means nothing to who uses the page. */
export const plain = (text) => inWords(text.replace(/^[a-z]+(_[a-z]+)*: /, ""));

/** Sends a command; `note` is where an error shows. Says whether it was sent. */
export function command(item, args, note) {
  setNote(note, "");
  answerTo = note;
  return ask("CMD", item, args, { note });
}

function ask(verb, item, args, asked) {
  if (!connection.send(verb, item, args, ++lastId)) return false;
  requests.set(lastId, asked);
  return true;
}

/** Asks the device; gives the value of `key` in its answer. Fails with an Error that has `field`. */
export function request(verb, item, args, key) {
  return new Promise((resolve, reject) => {
    if (!ask(verb, item, args, { key, resolve, reject })) reject(new Error(OFFLINE));
  });
}

function takeError(text, keys, asked) {
  if (asked?.reject) {
    asked.reject(Object.assign(new Error(plain(text)), { field: keys.field }));
    return;
  }
  log(text, "error");
  const note = asked ? asked.note : answerTo;
  if (note) setNote(note, plain(text), true);
}

/** The device's own log ("12.3 info text", uptime in s), without what is on the page already. */
function takeLog(lines) {
  // Index 0 when the device has restarted.
  for (const line of lines.slice(lines.lastIndexOf(lastLogged) + 1)) {
    const [, time = "", kind = "info", text = line] = /^([\d.]+) (\w+) (.*)$/.exec(line) || [];
    if (!infos.delete(text)) log(text, kind, timeOf(Number(time)));
  }
  infos.clear();
  lastLogged = lines[lines.length - 1];
}

function takeInfo(text) {
  infos.add(text);
  log(text);
}

on("info", (value) => takeInfo(asText(value)));
on("error", (value, keys, asked) => takeError(asText(value), keys, asked));
on("field", () => {});
on("saved", () => {});
on("log", takeLog);
on("uptime", (value, keys) => {
  bootTime = Date.now() - value * 1000;
  // Who has no time of its own takes this computer's.
  if ("time_source" in keys && keys.time_source !== "server") setTime(keys.boot_time);
});

function setTime(known) {
  const now = Math.round(Date.now() / 1000);
  if (known === null || Math.abs(known * 1000 - bootTime) > 5000)
    connection.send("CMD", "set_time", [now]);
}

/** What passes without a change of anything that is rendered. */
const isPassing = (key) => key === "info" || key.endsWith("/msg");

function takeKeys(keys) {
  const { id, ...rest } = keys;
  const asked = requests.get(id);
  requests.delete(id);
  if (asked?.resolve && !("error" in rest)) {
    asked.resolve(rest[asked.key]);
    return;
  }
  if (stale) state = {};
  stale = false;
  for (const [key, value] of Object.entries(rest)) {
    const take = events.get(key);
    if (take) take(value, rest, asked);
    else if (key.endsWith("/msg")) events.get("msg")(value, key.slice(0, -4));
    else if (value === null) delete state[key];
    else state[key] = value;
  }
  // A serial line brings a thousand messages a second.
  if (!Object.keys(rest).every(isPassing)) render();
}

/** A handshake that fails may be one without a session, which a script is not told. */
async function askForLogin() {
  try {
    const session = await (await fetch("api/session")).json();
    if (!session.authenticated) location.assign("login");
    else connection.poll();
  } catch {
    return; // the device is away, not shut
  }
}

// Beside the page, wherever that is: behind a proxy it may be in a folder.
const address = new URL("ws", document.baseURI);
address.protocol = address.protocol === "https:" ? "wss:" : "ws:";

export const connection = new Connection(address.href, {
  status(text, retry) {
    setText(byId("connection-state"), text);
    setText(byId("connection-retry"), retry);
    byId("retry").hidden = !retry;
    byId("connection").className = retry ? "lost" : "connected";
  },
  open() {
    if (connection.reason) log("Connected again");
    stale = true;
    connection.send("GET", "time", []);
    connection.send("GET", "log", []);
    render();
  },
  close(reason) {
    log(reason, "error");
    for (const { reject } of requests.values()) reject?.(new Error(reason));
    requests.clear();
    render();
  },
  failed: askForLogin,
  whole() {
    stale = true;
  },
  keys: takeKeys,
});
