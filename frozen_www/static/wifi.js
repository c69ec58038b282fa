// The station's form: look for networks, test one, store one.

import { OFFLINE, command, connection, on, onRender, online, state } from "./device.js";
import { asNumber, asText, byId, element, setBadge, setNote, setText } from "./dom.js";

let saving = null; // the network name whose storing is not confirmed yet

const note = document.querySelector("#wifi-form .note");

function networkItem(network) {
  const text = `${network.secure ? "Secured" : "Open"}, ${asNumber(network.rssi)} dBm`;
  const parts = [element("span", network.ssid), element("small", text)];
  const button = element("button", parts, { type: "button" });
  button.addEventListener("click", () => {
    byId("ssid").value = network.ssid;
    markNetwork();
    byId("password").value = "";
    byId("password").focus();
  });
  return element("li", button);
}

function listNetworks(found) {
  byId("networks").replaceChildren(...found.map(networkItem));
  byId("networks").hidden = found.length === 0;
  if (found.length === 0) setNote(note, "No networks found.");
  markNetwork();
  scanning(false);
}

function markNetwork() {
  for (const button of byId("networks").querySelectorAll("button"))
    button.setAttribute("aria-pressed", button.firstChild.textContent === byId("ssid").value);
}

function scanning(busy) {
  setText(byId("scan"), busy ? "Scanning…" : "Scan");
  byId("scan").disabled = busy || !online();
}

function renderTest() {
  const running = state["wifi/test/running"] === true;
  const result = state["wifi/test/result"];
  byId("test").hidden = !running && !result;
  if (running) setBadge(byId("test-result"), "", "Testing…");
  else setBadge(byId("test-result"), result === "Success" ? "on" : "bad", asText(result));
  byId("test-reason").hidden = running;
  byId("test-button").disabled = byId("join-button").disabled = running || !online();
}

/** The stored networks in their order, each with what can be done with it. */
function renderStored() {
  const several = state["wifi/stored/networks"];
  const names = several ?? [state["wifi/stored/ssid"]].filter(Boolean);
  const key = JSON.stringify(names);
  const list = byId("stored");
  if (list.dataset.names !== key) {
    list.dataset.names = key;
    list.hidden = names.length === 0;
    list.replaceChildren(...names.map((name, i) => storedItem(name, i, names)));
  }
  for (const button of list.querySelectorAll("button")) button.disabled = !online();
  const reason = state["wifi/net/reason"];
  byId("stored-problem").hidden = !reason || names.length === 0;
  setText(byId("stored-problem"), reason ? `Not connected: ${reason}` : "");
}

function storedItem(name, i, names) {
  const act = (text, run) => {
    const button = element("button", text, { type: "button", "aria-label": `${text} ${name}` });
    button.addEventListener("click", run);
    return button;
  };
  const item = element("li", element("span", name));
  if (i > 0) {
    const order = [...names];
    order.splice(i - 1, 0, ...order.splice(i, 1));
    item.append(act("Up", () => command("order_sta", [order], note)));
  }
  item.append(act("Forget", () => command("forget_sta", [name], note)));
  return item;
}

function confirmSaved() {
  if (note.classList.contains("error")) saving = null;
  if (saving === null || state["wifi/stored/ssid"] !== saving) return;
  const since = state["wifi/net/connected"] ? "after the next reboot" : "from now on";
  setNote(note, `Saved; used ${since}.`);
  saving = null;
}

let wasOnline = false;

function render() {
  setText(byId("wifi-why"), online() ? "" : OFFLINE);
  if (online() !== wasOnline || note.classList.contains("error")) scanning(false);
  wasOnline = online();
  renderTest();
  renderStored();
  confirmSaved();
}

export function startWifi() {
  on("wifi/scan", listNetworks);
  onRender(render);
  byId("scan").addEventListener("click", () => scanning(command("scan", [], note)));
  byId("ssid").addEventListener("input", markNetwork);
  byId("show-password").addEventListener("click", (event) => {
    const show = byId("password").type === "password";
    byId("password").type = show ? "text" : "password";
    event.currentTarget.setAttribute("aria-pressed", show);
  });
  byId("wifi-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const ssid = byId("ssid").value;
    const item = event.submitter.value;
    const sent = command(item, [ssid, byId("password").value], note);
    if (!sent || item !== "store_new_sta") return;
    saving = ssid;
    connection.send("GET", "wifi", []); // its answer confirms what is stored
  });
}
