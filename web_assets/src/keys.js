// `/` searches, `?` lists the shortcuts, `g` and a letter goes to a page.
let going = 0;

function isTyping(target) {
  return Boolean(target.closest?.("input, textarea, select, [contenteditable='true']") || target.shadowRoot?.activeElement);
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  if (document.querySelector("dialog[open]")) return;
  if (event.key === "/") {
    const field = document.querySelector("[data-search]") ?? document.querySelector(".topbar .search input");
    if (!field) return;
    event.preventDefault();
    field.focus();
    field.select();
  } else if (event.key === "?") {
    document.getElementById("shortcuts")?.showModal();
  } else if (event.key === "g") {
    going = Date.now();
  } else if (Date.now() - going < 1500) {
    const link = document.querySelector(`.menu a[data-key="${CSS.escape(event.key)}"]`);
    going = 0;
    if (link) link.click();
  } else {
    const button = document.querySelector(`[data-shortcut="${CSS.escape(event.key)}"]`);
    if (button) {
      event.preventDefault();
      button.click();
    }
  }
});
