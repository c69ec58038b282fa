// Interface cards, made from what "hal" lists, and the forms that make and change interfaces.

import { Charts } from "./chart.js";
import {
  OFFLINE,
  ageOf,
  asTime,
  command,
  on,
  onRender,
  online,
  render,
  request,
  state,
  timeOf,
} from "./device.js";
import {
  addLine,
  asAge,
  asLabel,
  asNumber,
  asText,
  askFirst,
  byId,
  element,
  setBadge,
  setNote,
  setText,
  template,
} from "./dom.js";
import { Form } from "./form.js";
import { keepsOpen } from "./open.js";
import { inWords } from "./words.js";

const MESSAGE_LINES = 100;

// What an interface tells about itself, beside its values.
const OWN = ["running", "error", "failing_since", "retry_at", "stale_since", "takes_messages"];

const cards = new Map(); // interface name -> InterfaceCard

class InterfaceCard {
  constructor(entry) {
    this.name = entry.name;
    this.entry = entry;
    this.values = new Map((entry.values ?? []).map((value) => [value[0], value]));
    this.root = template("interface").firstElementChild;
    this.root.id = `card-interface-${this.name}`;
    this.root.dataset.name = this.name;
    const find = (selector) => this.root.querySelector(selector);
    this.badge = find(".badge");
    this.problem = find(".problem");
    this.rows = find("dl");
    this.switch = find(".switch");
    this.note = find(".note");
    find("h3").textContent = entry.title || this.name;
    find("summary small").textContent = [this.name, entry.connection].filter(Boolean).join(", ");
    this.switch.addEventListener("click", () => {
      const item = this.isIdle() ? "start_interface" : "stop_interface";
      command(item, [this.name], this.note);
    });
    this.senders = [];
    this.why = find(".why");
    if (entry.type === "gpio" && !entry.unusable) this.addPin();
    this.switch.hidden = entry.unusable === true;
    this.charts = new Charts(this.name, this.values);
    this.rows.after(this.charts.root);
    this.editor = new Editor(find(".edit"), find(".editor"), this);
    keepsOpen(this.root);
  }

  is(entry) {
    return JSON.stringify(entry) === JSON.stringify(this.entry);
  }

  state(key) {
    return state[`${this.name}/${key}`];
  }

  /** Neither runs nor waits to be run again. */
  isIdle() {
    return !this.state("running") && this.state("retry_at") === undefined;
  }

  addPin() {
    this.pin = template("interface-gpio").firstElementChild;
    this.why.before(this.pin);
    this.senders = [...this.pin.querySelectorAll("button")];
    for (const button of this.senders)
      button.addEventListener("click", () => this.send(button.value));
  }

  addMessages() {
    this.why.before(template("interface-text"));
    const form = this.root.querySelector(".message");
    const input = form.querySelector("input");
    input.id = `${this.name}-text`;
    input.placeholder = this.entry.message_help ?? "";
    form.querySelector("label").htmlFor = input.id;
    this.senders = [...form.querySelectorAll("button")];
    this.received = this.root.querySelector(".lines");
    const title = this.entry.title || this.name;
    this.received.setAttribute("aria-label", `Received: ${title}`);
    if (this.entry.type === "uart") this.recall();
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.send(input.value)) input.value = "";
    });
  }

  send(text) {
    return command("send_message", [this.name, text], this.note);
  }

  receive(value) {
    if (!this.received && !this.pin) this.addMessages();
    if (this.received)
      addLine(this.received, asText(value), MESSAGE_LINES, "info", asTime(Date.now()));
  }

  /** What came before the page was opened, of those that keep it. */
  async recall() {
    try {
      for (const text of await request("GET", "recent", [this.name], "recent"))
        addLine(this.received, asText(text), MESSAGE_LINES);
    } catch {
      return; // the device has gone meanwhile; what comes is shown
    }
  }

  takesMessages() {
    return this.entry.takes_messages || this.state("takes_messages");
  }

  render() {
    const running = this.state("running") === true;
    const error = this.state("error");
    if (error) setBadge(this.badge, "bad", "Error");
    else setBadge(this.badge, running ? "on" : "", running ? "Running" : "Stopped");
    setText(this.switch, this.isIdle() ? "Start" : "Stop");
    this.renderProblem(error);
    if (!this.received && !this.pin && this.takesMessages()) this.addMessages();
    for (const button of this.senders) {
      button.disabled = !online() || !running;
      if (button.value === "0" || button.value === "1")
        button.setAttribute("aria-pressed", this.state("value") === Number(button.value));
    }
    // A pin that is an input shows its level and takes nothing.
    const isInput = this.state("direction") === "in";
    if (this.pin) this.pin.hidden = isInput;
    const sends = this.senders.length > 0 && !isInput;
    const hint = running ? "" : "Start the interface to send.";
    setText(this.why, online() ? (sends ? hint : "") : OFFLINE);
    this.renderRows();
    this.charts.render(this.numbers());
  }

  renderProblem(error) {
    let text = inWords(error || "").replace(/^interface \S+: /, "");
    const since = this.state("failing_since");
    if (text && since !== undefined) {
      text += ` – since ${asTime(timeOf(since))}, ${asAge(ageOf(since))} ago`;
    }
    const again = this.state("retry_at");
    if (text && again !== undefined) text += `; next try in ${asAge(-ageOf(again))}`;
    this.problem.hidden = !text;
    setText(this.problem, text);
  }

  /** The keys of its values: the known ones in their order, then the others. */
  keys() {
    const prefix = `${this.name}/`;
    const found = Object.keys(state)
      .filter((key) => key.startsWith(prefix))
      .map((key) => key.slice(prefix.length))
      .filter((key) => !OWN.includes(key) && state[prefix + key] !== "");
    const known = [...this.values.keys()].filter((key) => found.includes(key));
    return [...known, ...found.filter((key) => !this.values.has(key)).sort()];
  }

  numbers() {
    return this.keys().filter((key) => typeof this.state(key) === "number");
  }

  shown(key) {
    const value = this.state(key);
    if (this.entry.type === "gpio" && key === "value") return value ? "On" : "Off";
    if (this.entry.type === "gpio" && key === "direction") return value === "in" ? "Input" : "Output";
    const [, unit, decimals] = this.values.get(key) ?? [];
    if (typeof value !== "number" || decimals === undefined) return asText(value);
    return asNumber(value.toFixed(decimals)) + (unit ? ` ${unit}` : "");
  }

  isOut(key) {
    const value = this.state(key);
    const [, , , least, most] = this.values.get(key) ?? [];
    const below = typeof least === "number" && value < least;
    return below || (typeof most === "number" && value > most);
  }

  renderRows() {
    const since = this.state("stale_since");
    const age = since === undefined ? "" : `${asAge(ageOf(since))} old`;
    const keys = this.keys();
    if (keys.join() !== this.rowKeys) {
      this.rowKeys = keys.join();
      this.rows.replaceChildren(...keys.map((key) => this.makeRow(key)));
      this.rows.hidden = keys.length === 0;
    }
    keys.forEach((key, i) => {
      const cell = this.rows.children[i].lastElementChild;
      setText(cell.firstElementChild, this.shown(key));
      cell.classList.toggle("out", this.isOut(key));
      cell.classList.toggle("stale", age !== "");
      const remarks = [this.isOut(key) ? "out of range" : "", age];
      setText(cell.lastElementChild, remarks.filter(Boolean).join(", "));
      const meter = cell.querySelector("meter");
      if (meter) meter.value = this.state(key);
    });
  }

  makeRow(key) {
    const cell = element("dd", element("span"));
    const [, , , least, most] = this.values.get(key) ?? [];
    if (typeof least === "number" && typeof most === "number") {
      const name = `${asLabel(key)} of ${least} to ${most}`;
      cell.append(element("meter", [], { min: least, max: most, "aria-label": name }));
    }
    cell.append(element("small"));
    return element("div", [element("dt", asLabel(key)), cell]);
  }
}

function listInterfaces(list) {
  const old = new Map(cards);
  cards.clear();
  for (const entry of list) {
    const card = old.get(entry.name);
    cards.set(entry.name, card?.is(entry) ? card : new InterfaceCard(entry));
  }
  const roots = [...cards.values()].map((card) => card.root);
  const shown = byId("interfaces");
  // Only when something changed: moving a card would take the focus from it.
  const current = [...shown.children];
  if (current.length !== roots.length || current.some((root, i) => root !== roots[i]))
    shown.replaceChildren(...roots);
  byId("no-interfaces").hidden = roots.length > 0;
}

/** The form that makes an interface, or with a card changes that one. */
class Editor {
  constructor(opener, panel, card = null) {
    this.opener = opener;
    this.panel = panel;
    this.card = card;
    opener.addEventListener("click", () => (this.panel.hidden ? this.open() : this.close()));
    panel.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.close();
    });
  }

  async open() {
    this.panel.replaceChildren(template("editor"));
    const find = (selector) => this.panel.querySelector(selector);
    this.form = find("form");
    this.note = find(".note");
    this.kinds = find("select");
    this.panel.hidden = false;
    this.opener.setAttribute("aria-expanded", "true");
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.save();
    });
    find(".cancel").addEventListener("click", () => this.close());
    this.kinds.addEventListener("change", () => this.showKind());
    for (const button of this.panel.querySelectorAll("[data-step]"))
      button.addEventListener("click", () => this.move(Number(button.dataset.step)));
    askFirst(find(".remove"), find(".confirm"), find(".keep"), find(".danger"), () =>
      this.try(() => request("CMD", "remove_interface", [this.card.name], "saved")),
    );
    find(".existing").hidden = !this.card;
    await this.try(async () => {
      const kinds = await request("GET", "kinds", [], "kinds");
      this.entry = this.card ? await this.entryOf(this.card.name) : {};
      const own = this.entry.type;
      if (own && !kinds.some((kind) => kind.type === own)) kinds.push({ type: own, title: own });
      this.kinds.replaceChildren(
        ...kinds.map(({ type, title }) => element("option", title, { value: type })),
      );
      this.kinds.value = own ?? kinds[0].type;
      await this.showKind();
      this.panel.querySelector("select, input").focus();
    });
  }

  async entryOf(name) {
    const entries = await request("GET", "interfaces", [], "interfaces");
    const index = [...cards.keys()].indexOf(name);
    const entry = entries[index];
    return entry && typeof entry === "object" ? entry : { name };
  }

  async showKind() {
    const type = this.kinds.value;
    await this.try(async () => {
      const kind = await request("GET", "kind", [type], "kind");
      const entry = this.entry.type === type ? this.entry : { ...this.entry, title: undefined };
      this.fields = new Form([
        { name: "name", kind: "text", required: true, help: "Letters, digits, _ and -" },
        { name: "title", kind: "text", default: kind.title, help: "What the card is called" },
        { name: "start", label: "Start with the device", kind: "boolean", default: true },
        ...kind.options.map((option) => ({ ...option, label: undefined })),
      ].map((field) => ({ ...field, value: entry[field.name] })));
      this.form.querySelector(".fields").replaceChildren(this.fields.root);
      this.known = new Map(kind.options.map((option) => [option.name, option.default]));
      this.kindTitle = kind.title;
    });
  }

  /** The entry that the form says, without what is as it would be anyway. */
  read() {
    const entry = { name: "", type: this.kinds.value };
    for (const [name, value] of Object.entries(this.fields.values())) {
      if (name === "title" && (value === "" || value === this.kindTitle)) continue;
      if (name === "start" && value) continue;
      if (this.known.has(name) && value === this.known.get(name)) continue;
      if (value !== "" || name === "name" || this.known.get(name)) entry[name] = value;
    }
    return entry;
  }

  async save() {
    if (!this.fields.check()) return;
    const entry = this.read();
    const order = this.card
      ? ["configure_interface", [this.card.name, entry]]
      : ["add_interface", [entry]];
    await this.try(async () => {
      await request("CMD", ...order, "saved");
      this.close();
    });
  }

  async move(step) {
    const names = [...cards.keys()];
    const from = names.indexOf(this.card.name);
    const to = from + step;
    if (to < 0 || to >= names.length) return;
    names.splice(to, 0, ...names.splice(from, 1));
    await this.try(() => request("CMD", "order_interfaces", [names], "saved"));
  }

  async try(what) {
    setNote(this.note, "");
    try {
      await what();
    } catch (error) {
      // The device says which interface it is: the form is that one's.
      const text = error.message.replace(/^interface \S+: /, "").replace(`${error.field}: `, "");
      if (!this.fields?.refuse(error.field, text)) setNote(this.note, text, true);
    }
  }

  close() {
    this.panel.hidden = true;
    this.panel.replaceChildren();
    this.opener.setAttribute("aria-expanded", "false");
    this.opener.focus();
  }
}

export function startInterfaces() {
  on("hal", listInterfaces);
  on("msg", (value, name) => cards.get(name)?.receive(value));
  onRender(() => cards.forEach((card) => card.render()));
  new Editor(byId("add-interface"), byId("new-interface"));
  // Ages grow without a message.
  setInterval(() => document.querySelector(".stale, .problem:not([hidden])") && render(), 1000);
}
