// Filters with counts, the people of the examples, one face a person, the least probability.

import { $, count, h } from "./dom.js";
import { change, current } from "./state.js";

const TITLES = { shows: "Reads as", label: "Label", quality: "Quality", folder: "Folder", month: "Date" };
const QUALITIES = {
  large: "Large (96 px or more)", frontal: "Frontal (20° or less)", sharp: "Sharp", whole: "Not cut off",
};
const PEOPLE = { exclude: "Others only", any: "Anybody", only: "The same only" };
const OPEN_AT_FIRST = ["shows", "label", "quality"];
const FEW = 9;
let open = new Set(OPEN_AT_FIRST);

/** Draw the filters of an answer. `about` is what is known of the set. */
export function showFilters(parameters, answer, about) {
  const asked = parameters.has("like") || parameters.has("unlike"), any = asked || parameters.has("expression");
  const focus = document.activeElement?.id;
  const groups = Object.entries(TITLES).filter(([name]) => answer.counts[name]).map(([name, title]) => group(name, title, answer.counts[name], parameters));
  $("filters").replaceChildren(
    any ? probability(parameters, answer) : "",
    asked ? people(parameters, answer, about) : "",
    about.known_by !== "nothing" ? check("once", "1", "Each person once", null, parameters) : "",
    ...groups,
    count_filters(parameters) ? h("button", { className: "wide", on: { click: clear } }, "Clear all filters") : "",
  );
  $("filters").hidden = !$("filters").childElementCount;
  if (focus) document.getElementById(focus)?.focus();
  $("filters-open").textContent = `Filters${count_filters(parameters) ? ` (${count_filters(parameters)})` : ""}`;
}

const NAMES = [...Object.keys(TITLES), "once", "least", "find", "person"];
const count_filters = (parameters) => [...parameters.keys()].filter((name) => NAMES.includes(name)).length;

function clear() {
  $("find").value = "";
  change(Object.fromEntries(NAMES.map((name) => [name, null])));
}

function group(name, title, counts, parameters) {
  const chosen = parameters.getAll(name);
  const shown = name === "month" ? [...counts].sort((a, b) => b[0].localeCompare(a[0])) : counts;
  const total = Math.max(...shown.map(([, number]) => number));
  const items = shown.map(([value, number]) => check(name, value, QUALITIES[value] ?? value, number, parameters, number / total));
  const rest = items.slice(FEW);
  const details = h("details", { open: open.has(name) || chosen.length > 0, on: { toggle: (event) => {
    if (event.target.open) open.add(name); else open.delete(name);
  } } }, h("summary", {}, title, chosen.length ? h("b", {}, ` ${chosen.length}`) : ""), h("div", {}, items.slice(0, FEW)));
  if (rest.length) {
    const more = h("button", { className: "link", on: { click: () => { more.replaceWith(...rest); open.add(`${name}+`); } } }, `${rest.length} more`);
    details.append(...(open.has(`${name}+`) ? rest : [more]));
  }
  return details;
}

function check(name, value, words, number, parameters, share = null) {
  const input = h("input", { type: "checkbox", id: `filter-${name}-${value}`, checked: parameters.getAll(name).includes(value) });
  input.addEventListener("change", () => {
    const others = current().getAll(name).filter((each) => each !== value);
    change({ [name]: input.checked ? [...others, value] : others, open: null });
  });
  const label = h("label", { className: "check", title: words }, input, h("span", {}, words), number === null ? "" : h("small", {}, count(number)));
  if (share !== null) label.style.setProperty("--share", `${100 * share}%`);
  return label;
}

function people(parameters, answer, about) {
  const asked = parameters.get("person") ?? "exclude";
  if (about.known_by === "nothing") return h("p", { className: "soft note" }, "Who is who is not known in this set, so nobody can be left out.");
  const known = answer.nobody_known ? "It is not known who the example shows, so nobody is left out."
    : about.known_by === "clip" ? "Faces of one clip count as one person." : "";
  return h("fieldset", { className: "people" }, h("legend", {}, "People"), Object.entries(PEOPLE).map(([value, words]) => {
    const input = h("input", { type: "radio", name: "person", id: `filter-person-${value}`, value, checked: value === asked });
    input.addEventListener("change", () => change({ person: value === "exclude" ? null : value, open: null }));
    return h("label", {}, input, h("span", {}, words));
  }), known ? h("p", { className: "soft" }, known) : "");
}

function probability(parameters, answer) {
  if (!answer.hits.length && !parameters.has("least")) return "";
  if (answer.hits.length && answer.hits[0].probability === null) return "";
  const value = parameters.get("least") ?? "0";
  const input = h("input", { type: "range", id: "filter-least", min: 0, max: 95, step: 5, value, aria: { label: "Least probability" } });
  const shown = h("output", {}, `${value} %`);
  input.addEventListener("input", () => { shown.textContent = `${input.value} %`; });
  input.addEventListener("change", () => change({ least: input.value === "0" ? null : input.value, open: null }, { replace: true }));
  return h("label", { className: "least" }, h("span", {}, "Probability at least"), shown, input);
}
