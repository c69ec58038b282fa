// The login page: which form is shown depends on the session; errors appear beside the form.
"use strict";

const byId = (id) => document.getElementById(id);

async function show() {
  const session = await (await fetch("/api/session")).json();
  const inside = session.authenticated;
  byId("login").hidden = inside;
  byId("change").hidden = !inside;
  byId("open").hidden = session.password;
  byId("current-field").hidden = !session.password;
  byId("current").required = session.password;
  byId("logout").hidden = !session.password;
}

for (const form of document.querySelectorAll("#login form, #change form[action='/password']")) {
  const note = form.querySelector(".note");
  form.onsubmit = async (event) => {
    event.preventDefault();
    note.textContent = "Checking…";
    note.classList.remove("error");
    try {
      const body = new URLSearchParams(new FormData(form));
      const response = await fetch(form.action, { method: "POST", body, redirect: "manual" });
      // A redirect is success, and not to be read by scripts.
      if (response.type === "opaqueredirect") return location.assign("/");
      const wait = response.headers.get("retry-after");
      note.textContent = (await response.text()).trim() + (wait ? `; try again in ${wait} s` : "");
    } catch {
      note.textContent = "The device does not answer.";
    }
    note.classList.add("error");
  };
}

show();
