// The menu on narrow screens, the theme, and menus behind a button.
const root = document.documentElement;
const menuButton = document.querySelector(".menu-button");

function showMenu(open) {
  root.classList.toggle("menu-open", open);
  menuButton.setAttribute("aria-expanded", String(open));
  if (open) document.querySelector(".menu a").focus();
}

menuButton?.addEventListener("click", (event) => {
  event.stopPropagation();
  showMenu(!root.classList.contains("menu-open"));
});
document.addEventListener("click", (event) => {
  if (root.classList.contains("menu-open") && !event.target.closest(".sidebar")) showMenu(false);
  for (const pop of document.querySelectorAll("details.pop[open]")) if (!pop.contains(event.target)) pop.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  if (root.classList.contains("menu-open")) showMenu(false);
  for (const pop of document.querySelectorAll("details.pop[open]")) {
    pop.open = false;
    pop.querySelector("summary").focus();
  }
});

function mark(theme) {
  for (const button of document.querySelectorAll("[data-set-theme]")) {
    button.setAttribute("aria-pressed", String(button.dataset.setTheme === (theme ?? "system")));
  }
}
mark(root.dataset.theme);
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-set-theme]");
  if (!button) return;
  const theme = button.dataset.setTheme;
  if (theme === "system") {
    localStorage.removeItem("theme");
    delete root.dataset.theme;
  } else {
    localStorage.setItem("theme", theme);
    root.dataset.theme = theme;
  }
  mark(root.dataset.theme);
});

// The message of a redirect is shown once: neither reload nor the back button brings it back.
