// The access page: what is shown depends on the session; errors appear beside the form.
"use strict";

const byId = (id) => document.getElementById(id);

async function show() {
  const session = await (await fetch("api/session")).json();
  const inside = session.authenticated;
  byId("login").hidden = inside;
  byId("change").hidden = !inside;
  byId("open").hidden = session.password;
  byId("current-field").hidden = !session.password;
  byId("current").required = session.password;
  byId("logout").hidden = !session.password;
  byId("tokens").hidden = !session.password || session.right !== "admin";
  if (!byId("tokens").hidden) listTokens();
}

/** Asks the device; `note` is where an error shows. Gives the answer's object, else undefined. */
async function ask(method, path, note, fields) {
  note.textContent = "";
  note.classList.remove("error");
  const options = { method };
  if (fields) options.body = new URLSearchParams(fields);
  try {
    const response = await fetch(path, options);
    if (response.status === 401) return location.reload();
    if (response.ok) return response.status === 204 ? {} : await response.json();
    note.textContent = (await response.text()).trim();
  } catch {
    note.textContent = "The device does not answer.";
  }
  note.classList.add("error");
}

const tokenNote = document.querySelector("#token-form .note");

async function listTokens() {
  const answer = await ask("GET", "api/tokens", tokenNote);
  if (answer) byId("token-list").replaceChildren(...answer.tokens.map(tokenItem));
  byId("no-tokens").hidden = byId("token-list").childElementCount > 0;
}

/** A token in the list, whose button asks a second time before it revokes. */
function tokenItem({ name, right }) {
  const item = document.createElement("li");
  const label = item.appendChild(document.createElement("span"));
  label.textContent = name;
  const badge = item.appendChild(document.createElement("small"));
  badge.className = "badge";
  badge.textContent = right;
  const button = item.appendChild(document.createElement("button"));
  button.type = "button";
  const word = (text) => {
    button.textContent = text;
    button.classList.toggle("danger", text !== "Revoke");
    button.setAttribute("aria-label", `${text} ${name}`);
  };
  word("Revoke");
  button.onblur = () => word("Revoke");
  button.onclick = async () => {
    if (button.textContent === "Revoke") return word("Really revoke");
    const path = `api/tokens/${encodeURIComponent(name)}`;
    if (!(await ask("DELETE", path, tokenNote))) return;
    byId("made").hidden = true;
    await listTokens();
    byId("token-name").focus();
  };
  return item;
}

byId("token-form").onsubmit = async (event) => {
  event.preventDefault();
  const form = event.currentTarget;
  const made = await ask("POST", "api/tokens", tokenNote, new FormData(form));
  if (!made) return;
  form.reset();
  byId("made").hidden = false;
  byId("made-token").textContent = made.token;
  byId("made-token").focus();
  getSelection().selectAllChildren(byId("made-token"));
  listTokens();
};

for (const form of document.querySelectorAll("#login form, #change form[action='password']")) {
  const note = form.querySelector(".note");
  form.onsubmit = async (event) => {
    event.preventDefault();
    note.textContent = "Checking…";
    note.classList.remove("error");
    try {
      const body = new URLSearchParams(new FormData(form));
      const response = await fetch(form.action, { method: "POST", body, redirect: "manual" });
      // A redirect is success, and not to be read by scripts.
      if (response.type === "opaqueredirect") return location.assign("./");
      const wait = response.headers.get("retry-after");
      note.textContent = (await response.text()).trim() + (wait ? `; try again in ${wait} s` : "");
    } catch {
      note.textContent = "The device does not answer.";
    }
    note.classList.add("error");
  };
}

show();
