// The first start: name, admin password and Wi-Fi in one card, until they are there.

import { onRender, request, state } from "./device.js";
import { byId, setNote } from "./dom.js";

// The name of a device that was given none.
const CHIP_NAME = /^websock-[0-9a-f]{6}$/;

let session = null;
let named = false;

async function ask() {
  try {
    session = await (await fetch("api/session")).json();
  } catch {
    session = null; // the device is away, and is asked again with the next connection
  }
  render();
}

function mark(id, done) {
  byId(id).classList.toggle("done", done);
  byId(id).querySelector(".state").textContent = done ? " – done" : "";
}

function render() {
  const open = session !== null && !session.password && session.authenticated;
  const joined = Boolean(state["wifi/stored/ssid"]);
  byId("setup").hidden = !open || "recovery" in state;
  byId("wifi-open").hidden = !open;
  mark("setup-name", named || !CHIP_NAME.test(state.iam));
  mark("setup-wifi", joined);
}

async function attempt(form, what) {
  const note = form.querySelector(".note");
  setNote(note, "");
  try {
    setNote(note, await what());
  } catch (error) {
    setNote(note, error.message, true);
  }
}

async function saveName() {
  const name = byId("setup-name-field").value;
  await request("CMD", "set", [{ "device/iam": name }], "saved");
  named = true;
  render();
  return "Saved; used after a restart.";
}

async function savePassword() {
  const body = new URLSearchParams({ new: byId("setup-password-field").value });
  const response = await fetch("password", { method: "POST", body, redirect: "manual" });
  if (response.type !== "opaqueredirect") throw new Error((await response.text()).trim());
  await ask();
  return "";
}

/** Returns a promise that is kept when the page knows whether there is something to set up. */
export function startSetup() {
  onRender(render);
  const submit = (id, what) =>
    byId(id).addEventListener("submit", (event) => {
      event.preventDefault();
      attempt(event.currentTarget, what);
    });
  submit("setup-name-form", saveName);
  submit("setup-password-form", savePassword);
  byId("setup-wifi-go").addEventListener("click", () => {
    byId("card-stored").open = true;
    byId("ssid").focus();
  });
  return ask();
}
