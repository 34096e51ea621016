// Times in the reader's zone, UTC on hover; distances that stay true while the page is open.
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

function distance(then, now) {
  const seconds = (then - now) / 1000;
  const whole = Math.abs(seconds);
  if (whole < 5) return "now";
  const [unit, length] = UNITS.find(([, n]) => whole >= n) ?? UNITS[3];
  const amount = `${Math.round(whole / length)} ${unit}`;
  return seconds > 0 ? `in ${amount}` : `${amount} ago`;
}

function write(element, now) {
  const then = new Date(element.dateTime);
  if (Number.isNaN(then.getTime())) return;
  const utc = `${then.toISOString().slice(0, 19).replace("T", " ")} UTC`;
  if ("relative" in element.dataset) {
    element.textContent = distance(then, now);
    element.title = `${exact.format(then)} (${utc})`;
  } else {
    element.textContent = exact.format(then);
    element.title = utc;
  }
}

export function writeTimes(root = document) {
  const now = new Date();
  for (const element of root.querySelectorAll("time[datetime]")) write(element, now);
}

writeTimes();
setInterval(() => {
  const now = new Date();
  for (const element of document.querySelectorAll("time[data-relative]")) write(element, now);
}, 5000);
document.addEventListener("htmx:afterSettle", (event) => writeTimes(event.target.parentElement ?? document));

// Forms offer the reader's own zone first.
for (const button of document.querySelectorAll("[data-own-zone]")) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  button.textContent = `Use mine: ${zone}`;
  button.hidden = false;
  button.addEventListener("click", () => {
    const field = document.getElementById(button.dataset.ownZone);
    field.value = zone;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  });
}
