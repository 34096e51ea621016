// The schedule in words writes a cron expression; so do the quick choices.
const schedule = document.getElementById("schedule");
const builder = document.querySelector("details.builder");

function write(expression) {
  schedule.value = expression;
  schedule.dispatchEvent(new Event("input", { bubbles: true }));
}

function mark() {
  for (const chip of document.querySelectorAll("[data-preset]")) {
    chip.setAttribute("aria-pressed", String(chip.dataset.preset === schedule.value.trim()));
  }
}

function valueOf(id) {
  return document.getElementById(id).value;
}

function built() {
  const every = valueOf("build-every");
  const [hour, minute] = (valueOf("build-time") || "02:00").split(":").map(Number);
  switch (every) {
    case "minutes": return `*/${valueOf("build-minutes")} * * * *`;
    case "hour": return `${Number(valueOf("build-minute")) || 0} * * * *`;
    case "weekday": return `${minute} ${hour} * * 1-5`;
    case "week": return `${minute} ${hour} * * ${valueOf("build-weekday")}`;
    case "month": return `${minute} ${hour} ${Number(valueOf("build-day")) || 1} * *`;
    default: return `${minute} ${hour} * * *`;
  }
}

function showParts() {
  const every = valueOf("build-every");
  for (const part of builder.querySelectorAll("[data-for]")) part.hidden = !part.dataset.for.split(" ").includes(every);
}

if (schedule && builder) {
  for (const chip of document.querySelectorAll("[data-preset]")) chip.addEventListener("click", () => write(chip.dataset.preset));
  builder.addEventListener("input", () => { showParts(); write(built()); });
  builder.addEventListener("toggle", () => { if (builder.open && !schedule.value.trim()) write(built()); });
  schedule.addEventListener("input", mark);
  showParts();
  mark();
}
