// The settings: a group of fields is asked for, and its form made, when it is opened.

import { onRender, online, request, state } from "./device.js";
import { asLabel, byId, element, question, setNote, setText } from "./dom.js";
import { Form } from "./form.js";

// What fields are called whose key says little.
const LABELS = {
  "device/iam": "Device name",
  "device/dev": "Device type",
  "ap/essid": "Network name (SSID)",
  "ap/authmode": "Security",
  "sta/ssid": "Network name (SSID)",
  "sta/pass": "Password",
  "http/ip": "Listen at",
  "https/ip": "Listen at",
  "https/hsts": "HSTS",
  "https/cert": "Certificate",
  "websocket/ip": "Listen at",
  "portal/dns_port": "DNS port",
  "home/ip": "Address",
  "home/tls": "TLS",
  "home/ca": "Authority",
  "home/key": "Public key",
  "echoserver/listen_addr": "Listen at",
};

// What may shut out who saves it, and the question that is asked first.
const RISKS = {
  "ap/mode": {
    value: "never",
    question:
      "Turn the access point off for good? If the stored networks don't answer, the device can " +
      "then only be reached by its BOOT button.",
    go: "Turn it off",
  },
};

class Group {
  constructor({ name, title }) {
    this.name = name;
    this.note = element("p", "", { class: "note", role: "status" });
    this.fields = element("div");
    this.save = element("button", "Save", { class: "primary", disabled: !online() });
    this.makeQuestion();
    const row = element("div", this.save, { class: "row" });
    this.form = element("form", [this.fields, row, this.question, this.note], {
      autocomplete: "off",
      novalidate: true,
    });
    this.root = element("details", [element("summary", element("h3", title)), this.form], {
      class: "group",
    });
    this.root.addEventListener("toggle", () => {
      if (this.root.open) this.open();
    });
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.store();
    });
  }

  async open() {
    await this.try(async () => {
      const described = await request("GET", "config", [this.name], "config");
      const fields = described.map((field) => ({
        ...field,
        name: field.path,
        label: LABELS[field.path] ?? asLabel(field.path.split("/").pop()),
        help: field.live ? field.help : `${field.help} (used after a restart)`,
      }));
      this.fields.replaceChildren((this.values = new Form(fields)).root);
    });
  }

  async store() {
    if (!this.values?.check()) return;
    const changes = this.values.changes();
    if (Object.keys(changes).length === 0) {
      setNote(this.note, "Nothing has changed.");
      return;
    }
    const risk = Object.keys(changes).find((path) => RISKS[path]?.value === changes[path]);
    if (risk) this.ask(RISKS[risk], changes);
    else await this.send(changes);
  }

  makeQuestion() {
    const text = element("p");
    const go = element("button", "", { type: "button", class: "danger" });
    const cancel = element("button", "Cancel", { type: "button" });
    this.question = element("div", [text, element("div", [go, cancel], { class: "row" })], {
      class: "confirm",
      role: "group",
      hidden: true,
    });
    const act = () => this.send(this.asked);
    const show = question(this.question, cancel, go, act, this.save);
    this.ask = (risk, changes) => {
      this.asked = changes;
      setText(text, risk.question);
      setText(go, risk.go);
      this.question.setAttribute("aria-label", risk.question);
      show(true);
    };
  }

  async send(changes) {
    await this.try(async () => {
      await request("CMD", "set", [changes], "saved");
      await this.open();
      setNote(this.note, "Saved.");
    });
  }

  async try(what) {
    setNote(this.note, "");
    try {
      await what();
    } catch (error) {
      const text = error.field ? error.message.replace(`${error.field} `, "") : error.message;
      if (!this.values?.refuse(error.field, text)) setNote(this.note, text, true);
    }
  }
}

const groups = [];

/** Asked for with the first look at them: who only watches values never does. */
async function list() {
  if (groups.length > 0) return;
  const note = document.querySelector("#card-settings > .note");
  setNote(note, "");
  try {
    const found = await request("GET", "config", [], "groups");
    groups.push(...found.map((each) => new Group(each)));
    byId("settings-groups").replaceChildren(...groups.map((group) => group.root));
  } catch (error) {
    setNote(note, error.message, true);
  }
}

function render() {
  byId("restart").hidden = !state.restart_needed;
  for (const group of groups) group.save.disabled = !online();
}

export function startSettings() {
  onRender(render);
  const card = byId("card-settings");
  card.addEventListener("toggle", () => {
    if (card.open) list();
  });
}
