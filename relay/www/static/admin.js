// Alerts, and who did what: for admins.

import { byId, element, setNote } from "./dom.js";
import { ask, askFor } from "./talk.js";

const form = byId("rule");
const note = form.querySelector(".note");
const kind = byId("rule-kind");

function inWords({ name, devices = ["*"], offline, key, above, below, webhook }) {
  const when =
    offline !== undefined
      ? `offline for ${offline} s`
      : [above !== undefined && `${key} above ${above}`, below !== undefined && `${key} below ${below}`]
          .filter(Boolean)
          .join(" or ");
  const told = webhook ? `, told to ${new URL(webhook).host}` : "";
  return `${name}: ${devices.join(", ")} ${when}${told}`;
}

async function showRules() {
  const { alerts } = await askFor("api/alerts");
  byId("rules").replaceChildren(
    ...alerts.map((rule) => {
      const button = element("button", "Remove", { type: "button", "aria-label": `Remove ${rule.name}` });
      button.addEventListener("click", async () => {
        await ask("DELETE", `api/alerts/${rule.number}`).catch((error) => setNote(note, error.message, true));
        await showRules();
      });
      return element("li", [element("span", inWords(rule)), button]);
    }),
  );
}

function renderFields() {
  const offline = kind.value === "offline";
  byId("rule-key-field").hidden = offline;
  byId("rule-key").required = !offline;
  byId("rule-bound-label").textContent = offline ? "Seconds" : "Bound";
}

async function add() {
  const bound = Number(byId("rule-bound").value);
  const rule = {
    name: byId("rule-name").value,
    devices: byId("rule-devices").value.split(",").map((each) => each.trim()).filter(Boolean),
    webhook: byId("rule-webhook").value,
    [kind.value]: bound,
  };
  if (kind.value !== "offline") rule.key = byId("rule-key").value;
  await ask("POST", "api/alerts", rule);
}

async function showAudit() {
  const { audit } = await askFor("api/audit");
  byId("audit-lines").replaceChildren(
    ...audit.map(({ time, who, what, device, detail }) =>
      element("div", [
        element("time", new Date(time * 1000).toLocaleString()),
        [`${who} ${what}`, device, detail].filter(Boolean).join(", "),
      ]),
    ),
  );
}

export function startAdmin() {
  kind.addEventListener("input", renderFields);
  renderFields();
  for (const [id, show] of [["alerts", showRules], ["audit", showAudit]])
    byId(id).addEventListener("toggle", () => {
      if (byId(id).open) show().catch((error) => setNote(note, error.message, true));
    });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await add();
      setNote(note, "Added");
      await showRules();
    } catch (error) {
      setNote(note, error.message, true);
    }
  });
}
