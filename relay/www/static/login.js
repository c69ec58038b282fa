// The log-in form; afterwards the page that one came from.

const form = document.getElementById("login");
const note = form.querySelector(".note");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  note.textContent = "";
  try {
    const response = await fetch(form.action, { method: "POST", body: new FormData(form) });
    if (response.ok) {
      const next = new URLSearchParams(location.search).get("next") ?? "";
      // Of this relay: what follows is a path below it.
      location.assign(new URL(`./${next}`, new URL("./", location.href)));
      return;
    }
    note.textContent = (await response.json()).error;
  } catch {
    note.textContent = "The relay does not answer.";
  }
  note.classList.add("error");
});
