// Elements, texts and lines.

export const byId = (id) => document.getElementById(id);
export const template = (id) => byId(id).content.cloneNode(true);

/** An element with a text or children, and attributes. */
export function element(tag, content = [], attributes = {}) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined)
      made.setAttribute(name, value);
  made.append(...(Array.isArray(content) ? content : [content]));
  return made;
}

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function asText(value) {
  if (value === undefined || value === null) return "";
  if (typeof value === "boolean") return value ? "Yes" : "No";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** A number as people write it, with a minus and not a hyphen. */
export const asNumber = (text) => String(text).replace("-", "−");

/** "retry_at" -> "Retry at". */
export function asLabel(name) {
  return name[0].toUpperCase() + name.slice(1).replace(/_/g, " ");
}

/** `kind` is "on", "bad" or "". */
export function setBadge(element, kind, text) {
  element.className = `badge ${kind}`;
  setText(element, text);
}

/** Shows a note beside what it is about; an error has `bad`. */
export function setNote(note, text, bad = false) {
  note.classList.toggle("error", bad);
  setText(note, text);
}

/** Appends a line, drops the oldest above `most`, stays at the end unless it was scrolled up. */
export function addLine(list, text, most, kind = "info", time = "") {
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 8;
  const line = element("div", time ? [element("time", time), text] : text, { class: kind });
  list.append(line);
  while (list.childElementCount > most) list.firstElementChild.remove();
  if (atEnd) list.scrollTop = list.scrollHeight;
}

/** A panel that asks before `act` is done: Cancel has the focus, Escape is Cancel, and what has
 * the focus afterwards is `back`. Returns what opens (true) and shuts it. */
export function question(panel, cancel, go, act, back) {
  const show = (open) => {
    panel.hidden = !open;
    if (back.hasAttribute("aria-expanded")) back.setAttribute("aria-expanded", open);
    (open ? cancel : back).focus();
  };
  cancel.addEventListener("click", () => show(false));
  go.addEventListener("click", () => {
    act();
    show(false);
  });
  panel.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    show(false);
  });
  return show;
}

/** The same, with `opener` to open and shut it. */
export function askFirst(opener, panel, cancel, go, act) {
  const show = question(panel, cancel, go, act, opener);
  opener.addEventListener("click", () => show(panel.hidden));
}

/** "5 s", "3 min", "2 h", "4 days". */
export function asAge(seconds) {
  if (seconds < 90) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}
