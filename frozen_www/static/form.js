// Forms that are made from descriptions of fields: {name, label, kind, help} and, by kind, {least,
// most, choices, default, required, value, set}. Secrets have no value but `set`.

import { asLabel, element, setText } from "./dom.js";

const NUMBERS = ["integer", "number", "pin", "output", "adc", "uart"];
const SECRETS = ["password", "secret"];

let forms = 0;

class Field {
  constructor(description, id) {
    Object.assign(this, description);
    this.id = id;
    this.input = this.makeInput();
    this.input.id = id;
    const label = this.label ?? asLabel(this.name);
    this.error = element("p", "", { class: "note error", id: `${id}-error` });
    this.input.setAttribute("aria-describedby", `${id}-help ${id}-error`);
    this.input.addEventListener("input", () => this.refuse(""));
    const text = element("label", label, { for: id });
    const hint = element("p", this.helpText(), { class: "hint", id: `${id}-help` });
    const row = this.kind === "boolean" ? [element("div", [this.input, text])] : [text, this.input];
    if (this.remove) row.push(element("label", [this.remove, " Remove it"], { class: "check" }));
    this.root = element("div", [...row, hint, this.error], {
      class: this.kind === "boolean" ? "option check" : "option",
    });
  }

  helpText() {
    const { kind, least, most, help = "" } = this;
    const numeric = kind === "integer" || kind === "number";
    const range = numeric && most < 1e9 ? `${least} to ${most}` : "";
    return [help, range].filter(Boolean).join("; ");
  }

  makeInput() {
    const { kind, least, most } = this;
    if (kind === "boolean") {
      const input = element("input", [], { type: "checkbox" });
      input.checked = Boolean(this.value ?? this.default);
      return input;
    }
    if (kind === "choice") {
      const shown = (each) => (each === "" ? "none" : JSON.stringify(each).replace(/^"|"$/g, ""));
      const options = this.choices.map((each, i) => element("option", shown(each), { value: i }));
      const input = element("select", options);
      input.selectedIndex = Math.max(0, this.choices.indexOf(this.value ?? this.default));
      return input;
    }
    const attributes = { autocomplete: "off", autocapitalize: "none", spellcheck: "false" };
    if (SECRETS.includes(kind) || this.set !== undefined) {
      Object.assign(attributes, { type: "password", autocomplete: "new-password" });
      attributes.placeholder = this.set ? "Stored; empty keeps it" : "None";
      if (this.set) this.remove = element("input", [], { type: "checkbox" });
      return element("input", [], attributes);
    }
    if (NUMBERS.includes(kind)) {
      Object.assign(attributes, { type: "number", min: least, max: most });
      attributes.step = kind === "number" ? "any" : 1;
      attributes.inputmode = kind === "number" || least < 0 ? null : "numeric";
    }
    const shown = this.value ?? this.default ?? "";
    attributes.placeholder = this.default ?? "";
    attributes.value = Array.isArray(shown) ? shown.join(", ") : shown;
    attributes.required = this.required;
    return element("input", [], attributes);
  }

  /** What the form says; undefined: nothing, so that the device's default counts. */
  current() {
    const { input, kind } = this;
    if (kind === "boolean") return input.checked;
    if (kind === "choice") return this.choices[input.selectedIndex];
    if (this.set !== undefined) return this.remove?.checked ? "" : input.value || undefined;
    if (kind === "names") return input.value.split(/[\s,]+/).filter(Boolean);
    if (!NUMBERS.includes(kind)) return input.value;
    return input.value === "" ? undefined : Number(input.value);
  }

  refuse(text) {
    setText(this.error, text);
    if (text) this.input.setAttribute("aria-invalid", "true");
    else this.input.removeAttribute("aria-invalid");
  }
}

export class Form {
  constructor(descriptions) {
    forms += 1;
    this.fields = descriptions.map((each, i) => new Field(each, `form${forms}-${i}`));
    this.root = element(
      "div",
      this.fields.map((field) => field.root),
      { class: "options" },
    );
  }

  /** The values by name, without those that are nothing. */
  values() {
    const values = {};
    for (const field of this.fields) {
      const value = field.current();
      if (value !== undefined) values[field.name] = value;
    }
    return values;
  }

  /** The values that are others than the device's. */
  changes() {
    const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
    const known = new Map(this.fields.map((field) => [field.name, field.value]));
    const changed = Object.entries(this.values()).filter(([name, value]) => {
      return !same(value, known.get(name));
    });
    return Object.fromEntries(changed);
  }

  /** Whether the browser takes the values for possible; says which aren't. */
  check() {
    let first = null;
    for (const field of this.fields) {
      const valid = field.input.checkValidity();
      field.refuse(valid ? "" : field.input.validationMessage);
      if (!valid) first ??= field;
    }
    first?.input.focus();
    return first === null;
  }

  /** Shows an error beside its field; false when there is no such field. */
  refuse(name, text) {
    const field = this.fields.find((each) => each.name === name);
    if (!field) return false;
    field.refuse(text);
    field.input.focus();
    return true;
  }
}
