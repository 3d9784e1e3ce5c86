// The page: binds its parts together and draws the state that the address holds.

import { startAsking, showExamples } from "./ask.js";
import { $, ask, count, toast } from "./dom.js";
import { showHits, startGrid } from "./grid.js";
import { change, current, go, onChange } from "./state.js";
import { showViewer, startViewer } from "./viewer.js";

const summary = await ask("/api/set");
$("set-size").textContent = `${count(summary.faces)} ${summary.faces === 1 ? "face" : "faces"}`;

startAsking();
startGrid();
startViewer();
onChange(draw);
await draw(current());

async function draw(parameters, changed = null) {
  showViewer(parameters);
  if (changed && [...changed].every((name) => name === "open")) return;
  showExamples(parameters);
  await showHits(parameters);
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const typing = event.target.matches("input, textarea, select");
  if (event.key === "Escape") {
    if (typing) event.target.blur();
    else go(new URLSearchParams());
  } else if (!typing && event.key === "/") {
    event.preventDefault();
    $("find").focus();
  } else if (!typing && event.key === "?") $("help").showModal();
  else if (!typing && event.key === "o") $("file").click();
});

$("help-open").addEventListener("click", () => $("help").showModal());
for (const link of document.querySelectorAll(".brand, .tabs a")) {
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (link.matches(".brand")) go(new URLSearchParams());
    else change({ view: link.id === "tab-map" ? "map" : null, open: null });
  });
}
window.addEventListener("unhandledrejection", (event) => toast(event.reason?.message ?? "something went wrong"));
