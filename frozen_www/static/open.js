// Collapsed cards stay collapsed; storage may be forbidden, and the page does without it then.

export function keepsOpen(card) {
  try {
    const stored = localStorage.getItem(card.id);
    if (stored) card.open = stored === "open";
  } catch {
    return;
  }
}

// Not the toggle event: it comes as a task of its own, and a page that is left before has lost it.
function keep(changes) {
  for (const { target } of changes) {
    if (!target.id) continue;
    try {
      localStorage.setItem(target.id, target.open ? "open" : "closed");
    } catch {
      return;
    }
  }
}

export function startKeeping() {
  document.querySelectorAll("details[id]").forEach(keepsOpen);
  new MutationObserver(keep).observe(document.body, { attributeFilter: ["open"], subtree: true });
}
