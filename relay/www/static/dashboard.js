// The dashboard: the devices of a relay, live.

import { startAdmin } from "./admin.js";
import { showDevice, refreshDevice } from "./device.js";
import { byId, element, setBadge, setText } from "./dom.js";
import { startPush } from "./push.js";
import { badgeOf, problemsOf } from "./lines.js";
import { ask, askFor, live } from "./talk.js";

// Rows that a browser can have without becoming slow; more are found by the search.
const ROWS_MAX = 200;

const devices = new Map(); // name -> line
const rows = new Map(); // name -> tr, of those that are shown
const chosen = new Set();
let me = null;
let known = false; // whether the list has come

const search = byId("search");
const group = byId("group");
const status = byId("status");

const SHOWS = {
  "": () => true,
  connected: (line) => line.connected,
  away: (line) => !line.connected,
  trouble: (line) => problemsOf(line) !== "",
};

function isShown(line) {
  if (group.value && !(line.groups ?? []).includes(group.value)) return false;
  if (!SHOWS[status.value](line)) return false;
  const text = [line.name, line.dev, line.version, ...(line.groups ?? [])].join(" ").toLowerCase();
  return search.value.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

function makeRow(name) {
  const choose = element("input", [], { type: "checkbox", "aria-label": `Choose ${name}` });
  choose.addEventListener("change", () => {
    if (choose.checked) chosen.add(name);
    else chosen.delete(name);
    renderChoice();
  });
  const row = element("tr", [
    element("td", element("label", choose), { class: "choose" }),
    element("td", element("a", name, { class: "name", href: `#${encodeURIComponent(name)}` })),
    element("td", [element("span", "", { class: "badge" })]),
    ...["Type", "Version", "Signal", "Problems"].map((label) =>
      element("td", "", { class: "fact", "data-label": label }),
    ),
  ]);
  row.choose = choose;
  return row;
}

function fillRow(row, line) {
  const [, , state, ...facts] = row.children;
  const [kind, text] = badgeOf(line);
  setBadge(state.firstElementChild, kind, text);
  const signal = line.signal === undefined ? "" : `${line.signal} dBm`.replace("-", "−");
  const texts = [line.dev ?? "", (line.version ?? "").split("+")[0], signal, problemsOf(line)];
  facts.forEach((cell, i) => setText(cell, texts[i]));
  row.choose.checked = chosen.has(line.name);
}

function renderList() {
  const shown = [...devices.values()].filter(isShown);
  shown.sort((one, other) => (one.name < other.name ? -1 : 1));
  const body = byId("devices").tBodies[0];
  const wanted = shown.slice(0, ROWS_MAX);
  const names = new Set(wanted.map((line) => line.name));
  for (const [name, row] of rows)
    if (!names.has(name)) {
      row.remove();
      rows.delete(name);
    }
  let before = body.firstElementChild;
  for (const line of wanted) {
    let row = rows.get(line.name);
    if (!row) {
      row = makeRow(line.name);
      rows.set(line.name, row);
    }
    fillRow(row, line);
    // What stands right already isn't touched: it may have the focus.
    if (row === before) before = before.nextElementSibling;
    else body.insertBefore(row, before);
  }
  byId("devices").hidden = shown.length === 0;
  byId("empty").hidden = !known || shown.length > 0;
  setText(
    byId("empty"),
    devices.size ? "No device matches." : "No device has phoned home yet.",
  );
  byId("more").hidden = shown.length <= ROWS_MAX;
  setText(byId("more"), `${shown.length - ROWS_MAX} more match: search for what you look for.`);
  const connected = [...devices.values()].filter((line) => line.connected).length;
  if (known) setText(byId("count"), `${connected} of ${devices.size} connected`);
  renderChoice(shown);
}

function renderChoice(shown = [...devices.values()].filter(isShown)) {
  const all = byId("all");
  const count = shown.filter((line) => chosen.has(line.name)).length;
  all.checked = count > 0 && count === shown.length;
  all.indeterminate = count > 0 && count < shown.length;
  push.choose([...chosen].filter((name) => devices.has(name)));
}

byId("all").addEventListener("change", () => {
  const shown = [...devices.values()].filter(isShown);
  for (const { name } of shown)
    if (byId("all").checked) chosen.add(name);
    else chosen.delete(name);
  renderList();
});

function renderGroups() {
  const names = [...new Set([...devices.values()].flatMap((line) => line.groups ?? []))].sort();
  const before = [...group.options].slice(1).map((option) => option.value);
  if (names.join() === before.join()) return;
  const value = group.value;
  group.replaceChildren(group.options[0], ...names.map((name) => element("option", name)));
  group.value = names.includes(value) ? value : "";
}

function renderFiring(firing) {
  const box = byId("firing");
  box.hidden = firing.length === 0;
  setText(byId("firing-title"), firing.length === 1 ? "An alert" : `${firing.length} alerts`);
  box.querySelector("ul").replaceChildren(
    ...firing.map(({ alert, device, since }) =>
      element("li", [
        element("a", device, { href: `#${encodeURIComponent(device)}` }),
        `: ${alert}, since ${new Date(since * 1000).toLocaleString()}`,
      ]),
    ),
  );
}

function take(message) {
  if (message.devices) {
    known = true;
    devices.clear();
    for (const line of message.devices) devices.set(line.name, line);
  }
  for (const line of message.changed ?? [])
    if (line.gone) devices.delete(line.name);
    else devices.set(line.name, line);
  if (message.firing) renderFiring(message.firing);
  renderGroups();
  renderList();
  if (shownDevice()) refreshDevice(devices.get(shownDevice()));
}

// What is shown: the list, or the device that the address names.

const shownDevice = () => decodeURIComponent(location.hash.slice(1));

function renderPlace() {
  const name = shownDevice();
  byId("fleet").hidden = name !== "";
  byId("device").hidden = name === "";
  byId("admin").hidden = name !== "" || !me?.admin;
  document.title = name ? `${name} · Relay` : "Relay";
  if (name) showDevice(name, devices.get(name), me);
}

const push = startPush(devices);
for (const input of [search, group, status]) input.addEventListener("input", renderList);
addEventListener("hashchange", renderPlace);
// The times that are shown grow.
setInterval(() => {
  for (const [name, row] of rows) if (devices.has(name)) fillRow(row, devices.get(name));
}, 10000);

byId("logout").addEventListener("click", async () => {
  await ask("POST", "logout");
  location.assign("login");
});

async function start() {
  me = await askFor("api/me");
  byId("logout").hidden = !me.session;
  for (const part of document.querySelectorAll("#device [data-admin]")) part.hidden = !me.admin;
  if (me.admin) startAdmin();
  renderPlace();
  live(take, (text, good) => {
    setText(byId("connection-state"), text);
    byId("connection").className = good ? "connected" : "lost";
  });
}

start().catch((error) => {
  setText(byId("connection-state"), error.message);
  byId("connection").className = "lost";
});
