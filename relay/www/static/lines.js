// What a device's line in the list says in words.

import { asAge } from "./dom.js";

/** Kind and text of the badge of its state. */
export function badgeOf(line) {
  if (line.connected) return line.recovery ? ["bad", "Recovery mode"] : ["on", "Connected"];
  if (!line.seen) return ["", "Never seen"];
  return ["", `Away for ${asAge(Date.now() / 1000 - line.seen)}`];
}

/** What is wrong with it, "" for nothing. */
export function problemsOf(line) {
  const found = [];
  if (line.recovery) found.push("its app does not run");
  for (const name of line.failing ?? []) found.push(`${name} fails`);
  if (line.errors) found.push(line.errors === 1 ? "1 error" : `${line.errors} errors`);
  return found.join(", ");
}
