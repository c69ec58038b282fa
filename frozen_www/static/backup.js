// The settings as a file, and back.

import { byId, element, setNote } from "./dom.js";

const form = byId("backup-form");
const note = form.querySelector(".note");

async function ask(path, options) {
  setNote(note, "Working…");
  const response = await fetch(path, { method: "POST", ...options });
  if (response.ok) return response;
  const text = (await response.text()).trim();
  let error = text;
  try {
    error = JSON.parse(text).error ?? text;
  } catch {
    error = text;
  }
  throw new Error(error);
}

async function download() {
  const body = new URLSearchParams({ passphrase: byId("passphrase").value });
  const response = await ask("api/backup", { body });
  const name = /filename="([^"]+)"/.exec(response.headers.get("content-disposition"));
  const url = URL.createObjectURL(await response.blob());
  element("a", [], { href: url, download: name?.[1] ?? "settings.json" }).click();
  URL.revokeObjectURL(url);
  setNote(note, "Saved, with the secrets encrypted.");
}

async function restore() {
  const file = byId("backup-file").files[0];
  if (!file) throw new Error("Choose a file first.");
  let backup;
  try {
    backup = JSON.parse(await file.text());
  } catch {
    throw new Error("The file is no backup of settings.");
  }
  const passphrase = byId("passphrase").value;
  const headers = { "Content-Type": "application/json" };
  const body = JSON.stringify({ backup, passphrase });
  const { restored, unknown } = await (await ask("api/restore", { headers, body })).json();
  const rest = unknown.length ? `; not known here: ${unknown.join(", ")}` : "";
  setNote(note, `${restored} settings are restored${rest}.`);
}

export function startBackup() {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await (event.submitter.value === "restore" ? restore() : download());
    } catch (error) {
      setNote(note, error.message, true);
    }
  });
}
