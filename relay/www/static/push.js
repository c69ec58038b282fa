// The same command to many devices, with the result of each.

import { byId, element, setBadge, setNote, setText } from "./dom.js";
import { ask, linesOf } from "./talk.js";

const form = byId("push");
const what = byId("push-what");
const note = form.querySelector(".note");
const results = byId("results");

/** A value as it was written: JSON where it is that, else text. */
function valueOf(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function requestOf() {
  if (what.value === "set") return ["CMD", "set", [byId("push-key").value, valueOf(byId("push-value").value)]];
  if (what.value === "reboot") return ["CMD", "reboot", []];
  return ["CMD", what.value, [byId("push-name").value]];
}

function resultOf({ error, waiting }) {
  if (error) return ["bad", "Failed", error];
  if (waiting) return ["", "Waits", "it is away, and gets it when it returns"];
  return ["on", "Done", ""];
}

function renderFields() {
  const setting = what.value === "set";
  byId("push-setting").hidden = !setting;
  byId("push-interface").hidden = setting || what.value === "reboot";
  byId("push-key").required = setting;
  byId("push-name").required = what.value.endsWith("_interface");
}

export function startPush() {
  let names = [];
  const button = form.querySelector("button");
  what.addEventListener("input", renderFields);
  renderFields();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    setNote(note, "Sending");
    results.replaceChildren();
    button.disabled = true;
    const counts = { Done: 0, Waits: 0, Failed: 0 };
    try {
      const wait = Number(byId("push-wait").value);
      const values = { devices: names, request: requestOf(), wait };
      for await (const { device, ...answer } of linesOf(await ask("POST", "api/push", values))) {
        const [kind, word, why] = resultOf(answer);
        counts[word]++;
        const badge = element("span", "", { class: "badge" });
        setBadge(badge, kind, word);
        results.append(element("li", [badge, element("span", why ? `${device}: ${why}` : device)]));
      }
      const texts = Object.entries(counts).filter(([, n]) => n);
      setNote(note, texts.map(([word, n]) => `${word}: ${n}`).join(", "), counts.Failed > 0);
    } catch (error) {
      setNote(note, error.message, true);
    }
    button.disabled = false;
  });
  return {
    choose(chosen) {
      names = chosen;
      form.hidden = names.length === 0;
      setText(byId("push-title"), names.length === 1 ? `To ${names[0]}` : `To ${names.length} devices`);
    },
  };
}
