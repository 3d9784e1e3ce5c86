// The page: binds its parts together and draws the state that the address holds.

import { startAsking, showExamples } from "./ask.js";
import { showClasses } from "./classes.js";
import { $, ask, count, toast } from "./dom.js";
import { showFilters } from "./filters.js";
import { showHits, startGrid } from "./grid.js";
import { showMap } from "./map.js";
import { change, current, go, onChange } from "./state.js";
import { showViewer, startViewer } from "./viewer.js";

let about = await ask("/api/set");
$("set-size").textContent = `${count(about.faces)} ${about.faces === 1 ? "face" : "faces"}`;

startAsking();
startGrid();
startViewer();
onChange(draw);
await draw(current());
await whenStudied();

async function draw(parameters, changed = null) {
  showViewer(parameters);
  if (changed && [...changed].every((name) => name === "open")) return;
  const mapped = parameters.get("view") === "map";
  for (const part of ["ask", "faces-view"]) $(part).hidden = mapped;
  $("tab-map").toggleAttribute("aria-current", mapped);
  $("tab-search").toggleAttribute("aria-current", !mapped);
  await showMap(parameters);
  if (mapped) return;
  showExamples(parameters);
  $("find").value = parameters.get("find") ?? "";
  showClasses(parameters, about);
  const answer = await showHits(parameters);
  if (answer) showFilters(parameters, answer, about);
}

/** Classes and dates are known a little after the first page. */
async function whenStudied() {
  if (about.ready) return;
  for (let wait = 300; !about.ready; wait = Math.min(3000, wait * 1.5)) {
    await new Promise((resolve) => setTimeout(resolve, wait));
    about = await ask("/api/set");
  }
  if (!$("viewer").open) await draw(current());
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const typing = event.target.matches("input, textarea, select");
  if (event.key === "Escape") {
    if (typing) event.target.blur();
    else if (current().has("lasso")) change({ lasso: null });
    else go(new URLSearchParams(current().has("view") ? { view: "map" } : {}));
  } else if (!typing && event.key === "/") {
    event.preventDefault();
    $("find").focus();
  } else if (!typing && event.key === "?") $("help").showModal();
  else if (!typing && event.key === "o") $("file").click();
  else if (!typing && event.key === "m") change({ view: current().has("view") ? null : "map", open: null });
});

let typed = 0;
$("find").addEventListener("input", () => {
  clearTimeout(typed);
  typed = setTimeout(find, 350);
});
$("find").addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  clearTimeout(typed);
  const word = $("find").value.trim().toLowerCase();
  if ([...$("find-words").options].some((option) => option.value === word)) change({ expression: word, find: null, like: null, unlike: null, view: null });
  else find();
});
function find() { change({ find: $("find").value.trim(), open: null }, { replace: true }); }

$("filters-open").addEventListener("click", () => {
  const shown = document.body.classList.toggle("filtering");
  $("filters-open").setAttribute("aria-expanded", shown);
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
