// One device: what it has told, its history, what waits for it.

import { asAge, asLabel, asText, byId, element, question, setBadge, setNote, setText } from "./dom.js";
import { badgeOf, problemsOf } from "./lines.js";
import { ask, askFor, inPath } from "./talk.js";

const HEIGHT = 140;

let name = ""; // of the device that is shown
let library = null;
let charts = [];

const path = (rest) => `api/devices/${inPath(name)}${rest}`;

function fact(label, value) {
  return element("div", [element("dt", label), element("dd", value || "–")]);
}

export function refreshDevice(line) {
  if (!line) {
    byId("device-badges").replaceChildren(element("span", "Not known", { class: "badge" }));
    byId("device-facts").replaceChildren();
    return;
  }
  const badge = element("span", "", { class: "badge" });
  setBadge(badge, ...badgeOf(line));
  byId("device-badges").replaceChildren(badge);
  byId("device-page").setAttribute("aria-disabled", !line.connected);
  const time = (seconds) => (seconds ? new Date(seconds * 1000).toLocaleString() : "");
  byId("device-facts").replaceChildren(
    fact("Type", line.dev),
    fact("Version", line.version),
    fact("Last seen", line.connected ? "Now" : line.seen ? `${time(line.seen)} (${asAge(Date.now() / 1000 - line.seen)} ago)` : ""),
    fact(line.connected ? "Connected since" : "Away since", time(line.since)),
    fact("Signal", line.signal === undefined ? "" : `${line.signal} dBm`.replace("-", "−")),
    fact("Problems", problemsOf(line)),
  );
}

export async function showDevice(shown, line, me) {
  name = shown;
  setText(byId("device-title"), name);
  byId("device-title").focus();
  byId("device-page").href = `d/${inPath(name)}/`;
  byId("groups").value = (line?.groups ?? []).join(", ");
  for (const note of document.querySelectorAll("#device .note")) setNote(note, "");
  refreshDevice(line);
  await Promise.allSettled([showState(), showHistory(), showWaiting(me)]);
}

async function showState() {
  const box = byId("device-state");
  setText(box, "");
  try {
    const { state } = await askFor(path("/state"));
    const lines = Object.keys(state).sort().map((key) => `${key}: ${asText(state[key])}`);
    setText(box, lines.join("\n"));
  } catch (error) {
    setText(box, error.message);
  }
}

// History

function loadLibrary() {
  library ??= Promise.all(
    [
      ["link", { rel: "stylesheet", href: "static/uplot.css" }],
      ["script", { src: "static/uplot.js" }],
    ].map(
      ([tag, attributes]) =>
        new Promise((resolve, reject) => {
          const made = element(tag, [], attributes);
          made.addEventListener("load", resolve);
          made.addEventListener("error", () => reject(new Error("The charts can't be loaded.")));
          document.head.append(made);
        }),
    ),
  ).catch((error) => {
    library = null;
    throw error;
  });
  return library;
}

const colour = (variable) => getComputedStyle(document.body).getPropertyValue(variable).trim();

async function showHistory() {
  const place = byId("charts");
  const note = byId("charts-note");
  const shown = name;
  charts = [];
  place.replaceChildren();
  setNote(note, "");
  try {
    const { keys } = await askFor(path("/history"));
    if (shown !== name) return;
    if (keys.length === 0) setNote(note, "Nothing yet: numbers that it tells appear here.");
    else await loadLibrary();
    for (const key of keys) await addChart(place, key);
  } catch (error) {
    setNote(note, error.message, true);
  }
}

async function addChart(place, key) {
  const shown = name;
  const span = Number(byId("span").value);
  const until = Date.now() / 1000;
  const query = `?since=${until - span}&until=${until + 1}`;
  const { samples } = await askFor(path(`/history/${inPath(key)}${query}`));
  if (shown !== name) return;
  const [interfaceName, ...rest] = key.split("/");
  const title = `${interfaceName}, ${asLabel(rest.join("/")).toLowerCase()}`;
  const table = element("a", "CSV", {
    href: path(`/history/${inPath(key)}.csv${query}`),
    "aria-label": `${title} as CSV`,
  });
  const chart = element("div", [], { role: "img", "aria-label": `Chart of ${title}` });
  place.append(element("figure", [element("figcaption", [title, " ", table]), chart]));
  const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 } };
  const plot = new window.uPlot(
    {
      width: chart.clientWidth || 280,
      height: HEIGHT,
      cursor: { y: false },
      axes: [{ ...axis, space: 70 }, { ...axis, size: 54 }],
      scales: { x: { range: [until - span, until] } },
      series: [{ label: "Time" }, { label: title, stroke: colour("--accent"), width: 1.5, points: { show: samples.length < 30 } }],
    },
    [samples.map(([time]) => time), samples.map(([, value]) => value)],
    chart,
  );
  charts.push([chart, plot]);
}

new ResizeObserver(() => {
  for (const [place, plot] of charts)
    if (place.clientWidth && place.clientWidth !== plot.width)
      plot.setSize({ width: place.clientWidth, height: HEIGHT });
}).observe(byId("charts"));

byId("span").addEventListener("input", showHistory);

// What waits

async function showWaiting(me) {
  const list = byId("waiting");
  list.replaceChildren();
  const { waiting } = await askFor(path("/waiting"));
  for (const { number, request, who, expires } of waiting) {
    const text = `${request[1]} ${request[2].map(asText).join(" ")}, by ${who}, until ${new Date(expires * 1000).toLocaleString()}`;
    const button = element("button", "Take back", { type: "button" });
    button.hidden = !me?.verbs.includes("CMD");
    button.addEventListener("click", async () => {
      await ask("DELETE", path(`/waiting/${number}`)).catch(() => {});
      await showWaiting(me);
    });
    list.append(element("li", [element("span", text), button]));
  }
}

// Groups, and forgetting it

byId("groups-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const note = byId("groups-form").querySelector(".note");
  const groups = byId("groups").value.split(",").map((each) => each.trim()).filter(Boolean);
  try {
    await ask("PUT", path("/groups"), { groups });
    setNote(note, "Saved");
  } catch (error) {
    setNote(note, error.message, true);
  }
});

const forget = byId("forget");
const askForget = question(byId("forget-confirm"), byId("forget-cancel"), byId("forget-go"), async () => {
  try {
    await ask("DELETE", path(""));
    location.hash = "";
  } catch (error) {
    setNote(byId("forget-note"), error.message, true);
  }
}, forget);
forget.addEventListener("click", () => askForget(true));
