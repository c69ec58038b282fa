// The log's filter and download, and what is asked for when something is wrong.

import { onRender, online, request } from "./device.js";
import { asAge, asLabel, asText, byId, element, setNote } from "./dom.js";

const EVERY = 5000;

function shown(key, value) {
  if (/heap|flash|stack/.test(key)) return `${Math.round(value / 102.4) / 10} KiB`;
  if (key === "uptime") return asAge(value);
  return asText(value);
}

async function refresh() {
  const card = byId("card-diagnostics");
  if (!card.open || !online()) return;
  const note = card.querySelector(".note");
  try {
    const found = await request("GET", "diagnostics", [], "diagnostics");
    const rows = Object.entries(found).map(([key, value]) => {
      return element("div", [element("dt", asLabel(key)), element("dd", shown(key, value))]);
    });
    rows.sort((a, b) => a.textContent.localeCompare(b.textContent));
    byId("diagnostics").replaceChildren(...rows);
    setNote(note, "");
  } catch (error) {
    setNote(note, error.message, true);
  }
}

function filter() {
  const words = byId("log-filter").value.toLowerCase();
  const errors = byId("log-level").value === "error";
  for (const line of byId("log").children) {
    const wanted = line.textContent.toLowerCase().includes(words);
    line.hidden = !wanted || (errors && !line.classList.contains("error"));
  }
}

function download() {
  const lines = [...byId("log").children].map((line) => {
    const time = line.querySelector("time")?.textContent ?? "";
    return `${time}\t${line.className}\t${line.lastChild.textContent}\n`;
  });
  const url = URL.createObjectURL(new Blob(lines, { type: "text/plain" }));
  element("a", [], { href: url, download: `${document.title}-log.txt` }).click();
  URL.revokeObjectURL(url);
}

export function startDiagnostics() {
  byId("card-diagnostics").addEventListener("toggle", refresh);
  setInterval(refresh, EVERY);
  byId("log-filter").addEventListener("input", filter);
  byId("log-level").addEventListener("change", filter);
  byId("log-download").addEventListener("click", download);
  onRender(filter);
}
