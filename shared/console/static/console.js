// Comfort alone: every page works without it.
"use strict";

// A form that is on its way says so, and is not sent twice by a second click.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent) { event.preventDefault(); return; }
  const asks = event.submitter && event.submitter.dataset.confirm;
  if (asks && !window.confirm(asks)) { event.preventDefault(); return; }
  if (form.method === "post") {
    form.dataset.sent = "yes";
    const button = event.submitter;
    if (button) { setTimeout(() => { button.disabled = true; button.setAttribute("aria-busy", "true"); }, 0); }
  }
});

// A page that comes back from the browser's memory may be used again.
window.addEventListener("pageshow", (event) => {
  if (!event.persisted) { return; }
  for (const form of document.querySelectorAll("form[data-sent]")) { delete form.dataset.sent; }
  for (const button of document.querySelectorAll("button[aria-busy]")) { button.disabled = false; button.removeAttribute("aria-busy"); }
});

// j and k go through the rows of a list, Enter opens one, / looks for an id.
const rows = () => [...document.querySelectorAll("tr[data-href]")];
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, button, a, summary")) { return; }
  const all = rows(), at = all.findIndex((row) => row.getAttribute("aria-selected") === "true");
  if (event.key === "/") { event.preventDefault(); document.getElementById("find").focus(); }
  if (event.key === "j" || event.key === "k") {
    const next = Math.min(Math.max(at + (event.key === "j" ? 1 : -1), 0), all.length - 1);
    all.forEach((row, index) => row.setAttribute("aria-selected", String(index === next)));
    if (all[next]) { all[next].scrollIntoView({ block: "nearest" }); }
  }
  if (event.key === "Enter" && at >= 0) { location.href = all[at].dataset.href; }
});

// The zone of this device, offered where none was chosen.
const zone = document.querySelector("footer input[name=zone]");
if (zone && zone.value === "UTC") { zone.placeholder = Intl.DateTimeFormat().resolvedOptions().timeZone; zone.setAttribute("title", "This device is in " + zone.placeholder); }
