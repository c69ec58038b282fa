// The device's page. A WebSocket brings the device's state as keys ("wifi/net/ip") and takes
// commands. An element that shows a key names it in data-key; interface cards are made from what
// "hal" lists.
"use strict";

// Waits, in milliseconds.
const RETRY_MIN = 500;
const RETRY_FIRST = 1000;
const RETRY_MAX = 15000;
const OPENING_MAX = 10000; // a device that has gone answers nothing, and browsers wait for minutes
const QUIET_MAX = 30000; // then the device is asked for a sign of life: pages can't send pings
const ANSWER_MAX = 5000;

// What is kept on the page.
const LOG_LINES = 200;
const MESSAGE_LINES = 100;

// What a close code of the device's tells; any other is a connection that was lost.
const REASONS = {
  1001: "Device is testing another network",
  1012: "Device is restarting",
  1013: "Device is busy",
};

const OFFLINE = "Not connected: sending works again when the connection is back.";

const byId = (id) => document.getElementById(id);
const template = (id) => byId(id).content.cloneNode(true);

/** A WebSocket that comes back by itself. Its one timer says what happens if nothing else does. */
class Connection {
  constructor(url, handlers) {
    this.url = url;
    this.handlers = handlers; // status(text, retry), open(), close(reason), keys(object)
    this.online = false;
    this.failures = 0;
    this.reason = "";
    this.open();
  }

  open() {
    this.abandon();
    if (this.reason) this.handlers.status(this.reason, "; trying now");
    const socket = new WebSocket(this.url);
    socket.onopen = () => {
      this.online = true;
      this.listen();
      this.handlers.status("Connected", "");
      this.handlers.open();
    };
    socket.onmessage = (event) => {
      this.failures = 0;
      this.listen();
      this.handlers.keys(JSON.parse(event.data));
    };
    socket.onclose = (event) => this.lost(REASONS[event.code]);
    this.socket = socket;
    this.after(OPENING_MAX, () => this.lost());
  }

  after(wait, then) {
    clearTimeout(this.timer);
    this.timer = setTimeout(then, wait);
  }

  /** Forgets the socket without waiting for a closing handshake that a dead peer never answers. */
  abandon() {
    clearTimeout(this.timer);
    this.online = false;
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
    else askForLogin();
    const most = Math.min(RETRY_MAX, RETRY_FIRST * 2 ** this.failures++);
    this.wait(Date.now() + Math.max(RETRY_MIN, (most * (1 + Math.random())) / 2));
  }

  wait(due) {
    const left = due - Date.now();
    if (left <= 0) return this.open();
    this.handlers.status(this.reason, `; trying again in ${Math.ceil(left / 1000)} s`);
    this.after(Math.min(left, 1000), () => this.wait(due));
  }

  listen() {
    this.after(QUIET_MAX, () => this.check());
  }

  /** Is the device still there? The answer to "state" shows it and brings the page up to date. */
  check() {
    if (!this.online) return this.open();
    this.send("GET", "state", []);
    this.after(ANSWER_MAX, () => this.lost());
  }

  /** False when it is too late: a socket that is closing takes messages and drops them. */
  send(verb, item, args) {
    if (!this.online || this.socket.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify([verb, item, args]));
    return true;
  }
}

/** A handshake that fails may be one without a session, which a script is not told. */
async function askForLogin() {
  try {
    const session = await (await fetch("/api/session")).json();
    if (!session.authenticated) location.assign("/login");
  } catch {
    return; // the device is away, not shut
  }
}

let state = {};
let stale = true; // what is shown is from before this connection
let answerTo = null; // the note beside the last command: the device's error answer belongs there
let saving = null; // the network name whose storing is not confirmed yet
let lastLogged = ""; // the newest line that was fetched of the device's log
const infos = new Set(); // what came as info since then, and is in that log too
const cards = new Map(); // interface name -> InterfaceCard

// Text and lines

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function asText(value) {
  if (value === undefined) return "";
  if (typeof value === "boolean") return value ? "Yes" : "No";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** `kind` is "on", "bad" or "". */
function setBadge(element, kind, text) {
  element.className = `badge ${kind}`;
  setText(element, text);
}

/** Appends a line, drops the oldest above `most`, stays at the end unless it was scrolled up. */
function addLine(list, text, most, kind = "info", time = new Date().toTimeString().slice(0, 8)) {
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 8;
  const line = document.createElement("div");
  line.className = kind;
  if (time) line.appendChild(document.createElement("time")).textContent = time;
  line.append(text);
  list.append(line);
  while (list.childElementCount > most) list.firstElementChild.remove();
  if (atEnd) list.scrollTop = list.scrollHeight;
}

const log = (text, kind, time) => addLine(byId("log"), text, LOG_LINES, kind, time);

// Commands

/** Sends a command; `note` is where an error shows. Says whether it was sent. */
function command(item, args, note) {
  setText(note, "");
  note.classList.remove("error");
  answerTo = note;
  return connection.send("CMD", item, args);
}

function showError(text) {
  log(text, "error");
  saving = null;
  if (!answerTo) return;
  answerTo.classList.add("error");
  setText(answerTo, text);
}

// Interfaces

class InterfaceCard {
  constructor({ name, type, title }) {
    this.name = name;
    this.type = type;
    this.title = title;
    this.root = template("interface").firstElementChild;
    this.root.id = `card-interface-${name}`;
    this.badge = this.root.querySelector(".badge");
    this.rows = this.root.querySelector("dl");
    this.switch = this.root.querySelector(".switch");
    this.note = this.root.querySelector(".note");
    this.root.querySelector("h3").textContent = title;
    this.switch.onclick = () =>
      command(state[`${name}/running`] ? "stop_interface" : "start_interface", [name], this.note);
    if (type === "gpio") this.addPin();
    else this.addMessages(title);
    this.why = this.root.querySelector(".why");
    recallOpen(this.root);
  }

  addPin() {
    this.root.append(template("interface-gpio"));
    this.senders = this.root.querySelectorAll("button[value]");
    for (const button of this.senders) button.onclick = () => this.send(button.value);
  }

  addMessages(title) {
    this.root.append(template("interface-text"));
    const form = this.root.querySelector("form");
    const input = form.querySelector("input");
    input.id = `${this.name}-text`;
    form.querySelector("label").htmlFor = input.id;
    this.senders = form.querySelectorAll("button");
    this.received = this.root.querySelector(".lines");
    this.received.setAttribute("aria-label", `Received: ${title}`);
    form.onsubmit = (event) => {
      event.preventDefault();
      if (this.send(input.value)) input.value = "";
    };
  }

  send(text) {
    return command("send_message", [this.name, text], this.note);
  }

  receive(value) {
    if (this.received) addLine(this.received, asText(value), MESSAGE_LINES);
  }

  render() {
    const running = state[`${this.name}/running`] === true;
    const error = state[`${this.name}/error`];
    if (error) setBadge(this.badge, "bad", "Error");
    else setBadge(this.badge, running ? "on" : "", running ? "Running" : "Stopped");
    setText(this.switch, running ? "Stop" : "Start");
    for (const button of this.senders) {
      button.disabled = !connection.online || !running;
      if (button.value === "0" || button.value === "1")
        button.setAttribute("aria-pressed", state[`${this.name}/value`] === Number(button.value));
    }
    // A pin that is an input shows its level and takes nothing.
    const isInput = state[`${this.name}/direction`] === "in";
    if (this.type === "gpio") this.root.querySelector("[role=group]").hidden = isInput;
    const hint = isInput || running ? "" : "Start the interface to send.";
    setText(this.why, connection.online ? hint : OFFLINE);
    this.renderRows();
  }

  /** What the interface tells about itself beside running: its value, counters, an error. */
  renderRows() {
    const rows = [];
    for (const [key, value] of Object.entries(state)) {
      const label = key.startsWith(`${this.name}/`) && key.slice(this.name.length + 1);
      if (!label || label === "running" || value === "") continue;
      const level = this.type === "gpio" && label === "value" && (value ? "On" : "Off");
      const title = label[0].toUpperCase() + label.slice(1).replace(/_/g, " ");
      rows.push([title, level || asText(value)]);
    }
    const text = rows.join("\n");
    if (text === this.rowsText) return;
    this.rowsText = text;
    this.rows.hidden = rows.length === 0;
    this.rows.replaceChildren(
      ...rows.map((row) => {
        const line = document.createElement("div");
        line.appendChild(document.createElement("dt")).textContent = row[0];
        line.appendChild(document.createElement("dd")).textContent = row[1];
        return line;
      }),
    );
  }
}

function listInterfaces(list) {
  const old = new Map(cards);
  cards.clear();
  for (const entry of list) {
    const card = old.get(entry.name);
    const same = card && card.type === entry.type && card.title === entry.title;
    cards.set(entry.name, same ? card : new InterfaceCard(entry));
  }
  const roots = [...cards.values()].map((card) => card.root);
  const shown = byId("interfaces");
  // Only when something changed: moving a card would take the focus from it.
  const current = [...shown.children];
  if (current.length !== roots.length || current.some((root, i) => root !== roots[i]))
    shown.replaceChildren(...roots);
  byId("no-interfaces").hidden = roots.length > 0;
}

// Wi-Fi

function listNetworks(found) {
  const items = found.map((network) => {
    const item = document.createElement("li");
    const button = item.appendChild(document.createElement("button"));
    button.type = "button";
    button.append(document.createElement("span"), document.createElement("small"));
    button.firstChild.textContent = network.ssid;
    const strength = String(network.rssi).replace("-", "−");
    button.lastChild.textContent = `${network.secure ? "Secured" : "Open"}, ${strength} dBm`;
    button.onclick = () => {
      byId("ssid").value = network.ssid;
      markNetwork();
      byId("password").value = "";
      byId("password").focus();
    };
    return item;
  });
  byId("networks").replaceChildren(...items);
  byId("networks").hidden = items.length === 0;
  if (items.length === 0) setText(wifiNote, "No networks found.");
  markNetwork();
  scanning(false);
}

function markNetwork() {
  for (const button of byId("networks").querySelectorAll("button"))
    button.setAttribute("aria-pressed", button.firstChild.textContent === byId("ssid").value);
}

function scanning(busy) {
  setText(byId("scan"), busy ? "Scanning…" : "Scan");
  byId("scan").disabled = busy || !connection.online;
}

function renderTest() {
  const running = state["wifi/test/running"] === true;
  const result = state["wifi/test/result"];
  byId("test").hidden = !running && !result;
  if (running) setBadge(byId("test-result"), "", "Testing…");
  else setBadge(byId("test-result"), result === "Success" ? "on" : "bad", asText(result));
  byId("test-reason").hidden = running;
  byId("test-button").disabled = running || !connection.online;
}

const wifiNote = document.querySelector("#wifi-form .note");

byId("scan").onclick = () => {
  scanning(command("scan", [], wifiNote));
};
byId("ssid").oninput = markNetwork;
byId("show-password").onclick = (event) => {
  const show = byId("password").type === "password";
  byId("password").type = show ? "text" : "password";
  event.currentTarget.setAttribute("aria-pressed", show);
};
byId("wifi-form").onsubmit = (event) => {
  event.preventDefault();
  const ssid = byId("ssid").value;
  const item = event.submitter.value;
  const sent = command(item, [ssid, byId("password").value], wifiNote);
  if (!sent || item !== "store_new_sta") return;
  saving = ssid;
  connection.send("GET", "wifi", []); // its answer confirms what is stored
};

function confirmSaved() {
  if (saving === null || state["wifi/stored/ssid"] !== saving) return;
  const since = state["wifi/net/connected"] ? "after the next reboot" : "from now on";
  setText(wifiNote, `Saved; used ${since}.`);
  saving = null;
}

// Actions that ask first, in place

for (const opener of document.querySelectorAll("[data-confirm]")) {
  const panel = byId(opener.dataset.confirm);
  const go = panel.querySelector("[data-command]");
  const toggle = (open) => {
    panel.hidden = !open;
    opener.setAttribute("aria-expanded", open);
    (open ? go : opener).focus();
  };
  opener.onclick = () => toggle(panel.hidden);
  go.onclick = () => {
    command(go.dataset.command, [], opener.closest("details").querySelector(".note"));
    toggle(false);
  };
  panel.querySelector("[data-cancel]").onclick = () => toggle(false);
  panel.onkeydown = (event) => event.key === "Escape" && toggle(false);
}

byId("leave-recovery").onclick = () => {
  const note = document.querySelector("#recovery .note");
  if (command("set", ["app", "demo"], note)) command("reboot", [], note);
};

// Collapsed cards stay collapsed; storage may be forbidden, and the page does without it then

function recallOpen(card) {
  try {
    card.open = localStorage.getItem(card.id) !== "closed";
  } catch {
    return;
  }
}

document.querySelectorAll("details").forEach(recallOpen);

// Not the toggle event: it comes as a task of its own, and a page that is left before has lost it

function keepOpen(changes) {
  for (const { target } of changes) {
    try {
      localStorage.setItem(target.id, target.open ? "open" : "closed");
    } catch {
      return;
    }
  }
}

new MutationObserver(keepOpen).observe(document.body, {
  attributeFilter: ["open"],
  subtree: true,
});

// The state on the page

function render() {
  for (const element of document.querySelectorAll("[data-key]")) {
    const { key, needs, words, empty = element.tagName === "DD" ? "–" : "" } = element.dataset;
    const value = needs && !state[needs] ? undefined : state[key];
    const text = words && value !== undefined ? words.split("|")[value ? 0 : 1] : asText(value);
    if (element.classList.contains("badge")) setBadge(element, value ? "on" : "", text);
    else setText(element, text || empty);
  }
  document.title = state.iam || "Device";
  byId("recovery").hidden = !state.recovery;
  renderTest();
  for (const card of cards.values()) card.render();
}

/** After the connection came or went. */
function renderOnline() {
  for (const button of document.querySelectorAll("[data-online]"))
    button.disabled = !connection.online;
  setText(byId("wifi-why"), connection.online ? "" : OFFLINE);
  scanning(false);
  render();
}

/** The device's own log ("12.3 info text", uptime in s), without what is on the page already. */
function takeLog(lines) {
  // Index 0 when the device has restarted.
  for (const line of lines.slice(lines.lastIndexOf(lastLogged) + 1)) {
    const [, time = "", kind = "info", text = line] = /^([\d.]+) (\w+) (.*)$/.exec(line) || [];
    if (!infos.delete(text)) log(text, kind, time && `${time} s`);
  }
  infos.clear();
  lastLogged = lines[lines.length - 1];
}

function takeInfo(text) {
  infos.add(text);
  log(text);
}

function takeKeys(keys) {
  if (stale) state = {};
  stale = false;
  for (const [key, value] of Object.entries(keys)) {
    const card = key.endsWith("/msg") && cards.get(key.slice(0, -4));
    if (card) card.receive(value);
    else if (key === "info") takeInfo(asText(value));
    else if (key === "error") showError(asText(value));
    else if (key === "log") takeLog(value);
    else if (key === "hal") listInterfaces(value);
    else if (key === "wifi/scan") listNetworks(value);
    else if (value === null) delete state[key];
    else state[key] = value;
  }
  if ("wifi/stored/ssid" in keys) confirmSaved();
  if ("error" in keys) scanning(false);
  render();
}

const scheme = location.protocol === "https:" ? "wss" : "ws";
const connection = new Connection(`${scheme}://${location.host}/ws`, {
  status(text, retry) {
    setText(byId("connection-state"), text);
    setText(byId("connection-retry"), retry);
    byId("retry").hidden = !retry;
    byId("connection").className = retry ? "lost" : "connected";
  },
  open() {
    if (connection.reason) log("Connected again");
    stale = true;
    connection.send("GET", "log", []);
    renderOnline();
  },
  close(reason) {
    log(reason, "error");
    renderOnline();
  },
  keys: takeKeys,
});

byId("retry").onclick = () => connection.open();
addEventListener("online", () => connection.check());
addEventListener("pageshow", (event) => event.persisted && connection.check());
document.addEventListener("visibilitychange", () => document.hidden || connection.check());
renderOnline();
