// `data-opens="id"` opens a <dialog>; `data-closes` inside closes it. Escape is the browser's.
document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-opens]");
  if (opener) {
    const dialog = document.getElementById(opener.dataset.opens);
    fill(dialog, opener);
    dialog.showModal();
    return;
  }
  if (event.target.closest("[data-closes]")) event.target.closest("dialog").close();
  else if (event.target instanceof HTMLDialogElement) event.target.close();
});

// What the opener knows and the dialog shows: data-fill-name="x" fills every [data-slot="name"].
function fill(dialog, opener) {
  for (const [key, value] of Object.entries(opener.dataset)) {
    if (!key.startsWith("fill")) continue;
    const slot = key.slice(4).toLowerCase();
    for (const place of dialog.querySelectorAll(`[data-slot="${slot}"]`)) {
      if (place instanceof HTMLFormElement) place.action = value;
      else if ("value" in place && place.tagName !== "BUTTON") place.value = value;
      else place.textContent = value;
    }
  }
}

// A form that was sent is not sent twice by a second click.
document.addEventListener("submit", (event) => {
  if (event.defaultPrevented || event.target.method !== "post") return;
  for (const button of event.target.querySelectorAll("button[type=submit], button:not([type])")) {
    setTimeout(() => { button.disabled = true; });
    setTimeout(() => { button.disabled = false; }, 8000);
  }
});
addEventListener("pageshow", (event) => {
  if (event.persisted) for (const button of document.querySelectorAll("button[disabled]")) button.disabled = false;
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = button.dataset.copy ? document.getElementById(button.dataset.copy) : null;
  await navigator.clipboard.writeText(source ? (source.value ?? source.textContent) : button.dataset.copyText);
  const before = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = before; }, 1500);
});
