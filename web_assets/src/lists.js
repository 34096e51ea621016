// Choosing rows: the bar of bulk actions appears with the first and says how many.
function update(form) {
  const rows = [...form.querySelectorAll("input[data-row]")];
  const chosen = rows.filter((row) => row.checked).length;
  const bar = form.querySelector(".bulk");
  if (!bar) return;
  bar.hidden = chosen === 0;
  for (const place of form.querySelectorAll("[data-chosen]")) place.textContent = String(chosen);
  const all = form.querySelector("input[data-all]");
  if (!all) return;
  all.checked = rows.length > 0 && chosen === rows.length;
  all.indeterminate = chosen > 0 && chosen < rows.length;
}

document.addEventListener("change", (event) => {
  const form = event.target.closest?.("form[data-bulk]");
  if (!form) return;
  if ("all" in event.target.dataset) {
    for (const row of form.querySelectorAll("input[data-row]")) row.checked = event.target.checked;
  }
  update(form);
});
document.addEventListener("htmx:afterSettle", () => {
  for (const form of document.querySelectorAll("form[data-bulk]")) update(form);
});

// A list that is looked at stays fresh, unless somebody is choosing from it.
setInterval(() => {
  if (document.hidden || document.querySelector("dialog[open], details[open]")) return;
  for (const list of document.querySelectorAll("[data-refreshes]")) {
    if (list.querySelector("input:checked") || list.contains(document.activeElement)) continue;
    list.dispatchEvent(new CustomEvent("refresh"));
  }
}, 10000);

// A choice that is a question of its own asks at once.
document.addEventListener("change", (event) => {
  if ("submits" in event.target.dataset) event.target.form.requestSubmit();
});
