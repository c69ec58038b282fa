// The device's page. A WebSocket brings the device's state as keys ("wifi/net/ip") and takes
// commands. An element that shows a key names it in data-key.

import { startBackup } from "./backup.js";
import { ageOf, command, connection, onRender, online, render, state } from "./device.js";
import { startDiagnostics } from "./diagnostics.js";
import { asAge, askFirst, asNumber, asText, byId, setBadge, setText } from "./dom.js";
import { startInterfaces } from "./interfaces.js";
import { startKeeping } from "./open.js";
import { startSettings } from "./settings.js";
import { startSetup } from "./setup.js";
import { startWifi } from "./wifi.js";
import { inWords } from "./words.js";

// Actions that ask first, in place

for (const opener of document.querySelectorAll("[data-confirm]")) {
  const panel = byId(opener.dataset.confirm);
  const go = panel.querySelector("[data-command]");
  askFirst(opener, panel, panel.querySelector("[data-cancel]"), go, () =>
    command(go.dataset.command, [], opener.closest("details").querySelector(".note")),
  );
}

byId("leave-recovery").addEventListener("click", () => {
  const note = document.querySelector("#recovery .note");
  if (command("set", ["app", "demo"], note)) command("reboot", [], note);
});

byId("reset-access").addEventListener("click", () => {
  command("factory_reset", ["access"], document.querySelector("#recovery .note"));
});

byId("restart-now").addEventListener("click", () => {
  command("reboot", [], document.querySelector("#restart .note"));
});

byId("home-now").addEventListener("click", () => {
  command("phone_home", [], document.querySelector("#card-home .note"));
});

// The state on the page

function renderHome() {
  const away = Boolean(state["home/url"]) && !state["home/connected"];
  const retryAt = state["home/retry_at"];
  const reason = asText(state["home/reason"]);
  byId("home-problem").hidden = !(away && reason);
  setText(byId("home-reason"), inWords(reason));
  byId("home-now").hidden = !(away && retryAt !== undefined);
  const left = retryAt === undefined ? 0 : -ageOf(retryAt);
  setText(byId("home-retry"), left > 0 ? `trying again in ${asAge(left)}` : "");
}

setInterval(renderHome, 1000);

function renderState() {
  for (const element of document.querySelectorAll("[data-key]")) {
    const { key, needs, words, empty = element.tagName === "DD" ? "–" : "" } = element.dataset;
    const value = needs && !state[needs] ? undefined : state[key];
    const text = words && value !== undefined ? words.split("|")[value ? 0 : 1] : asText(value);
    if (element.classList.contains("badge")) setBadge(element, value ? "on" : "", text);
    else setText(element, text || empty);
  }
  if (state["wifi/net/ip"]) byId("net-ip").href = `http://${state["wifi/net/ip"]}/`;
  else byId("net-ip").removeAttribute("href");
  const signal = state["wifi/net/rssi"];
  setText(byId("signal"), signal === undefined ? "–" : `${asNumber(signal)} dBm`);
  if (state.host) byId("host").href = `http://${state.host}/`;
  setText(byId("version"), (state.version ?? "").split("+")[0]);
  renderHome();
  document.title = state.iam || "Device";
  byId("recovery").hidden = !state.recovery;
  byId("reset-access").hidden = !(state.recovery ?? "").startsWith("safe mode");
  for (const button of document.querySelectorAll("[data-online]")) button.disabled = !online();
}

onRender(renderState);
startWifi();
startInterfaces();
startSettings();
startBackup();
const asked = startSetup();
startDiagnostics();
startKeeping();

const told = new Promise((resolve) => onRender(() => state.iam && resolve()));
Promise.all([told, asked]).then(() => document.body.classList.remove("waiting"));

byId("retry").addEventListener("click", () => connection.open());
addEventListener("online", () => connection.check());
addEventListener("pageshow", (event) => {
  if (event.persisted) connection.check();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) connection.check();
});
connection.open();
render();
