// A lost connection shows itself, and heals: what polls goes on by itself, the bar goes away.
const bar = document.getElementById("lost");
let probing = null;

function probe() {
  fetch("/health/live", { cache: "no-store" }).then((answer) => {
    if (!answer.ok) return;
    clearInterval(probing);
    probing = null;
    bar.hidden = true;
    document.dispatchEvent(new CustomEvent("connection:back"));
  }, () => {});
}

export function lost() {
  if (probing !== null || !bar) return;
  bar.hidden = false;
  probing = setInterval(probe, 2000);
}

document.addEventListener("htmx:sendError", lost);
document.addEventListener("htmx:timeout", lost);
addEventListener("offline", lost);
addEventListener("online", () => probing !== null && probe());

// A notice can be put away.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-dismiss]");
  if (button) button.closest(".message").remove();
});
