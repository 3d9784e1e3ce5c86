// The grid of faces: hits of a question, best first, or the set in its own order.

import { ponder } from "./ask.js";
import { $, ask, count, h, moment, percent, thumbnail, toast } from "./dom.js";
import { change, current } from "./state.js";

const AT_ONCE = 60;
const NOT_ASKED = ["open", "view", "lasso", "colour"]; // of the address; the rest is the question
let rows = []; // of the tiles, in order
let turn = 0; // of the newest question: answers to older ones are dropped

/** The rows that the arrows of the large view go through. */
export const shownRows = () => rows;
export const setShownRows = (others) => { rows = others; };

export function startGrid() {
  $("more").addEventListener("click", () => extend());
  new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting) && !$("more").hidden) extend();
  }, { rootMargin: "600px" }).observe($("more"));
  $("results").addEventListener("keydown", walk);
}

function query(parameters, start) {
  const asked = new URLSearchParams(parameters);
  for (const name of NOT_ASKED) asked.delete(name);
  asked.set("start", start);
  asked.set("count", AT_ONCE);
  return `/api/hits?${asked}`;
}

/** Ask anew and draw from the beginning. */
export async function showHits(parameters) {
  const mine = ++turn;
  $("results").setAttribute("aria-busy", "true");
  try {
    const answer = await ask(query(parameters, 0));
    if (mine !== turn) return null;
    rows = answer.hits.map((hit) => hit.row);
    $("results").replaceChildren(...answer.hits.map(tile));
    describe(parameters, answer);
    $("more").hidden = answer.hits.length < AT_ONCE;
    return answer;
  } catch (error) {
    if (mine !== turn) return null;
    rows = [];
    $("results").replaceChildren();
    $("more").hidden = true;
    $("status").textContent = "";
    warn(error.message);
    return null;
  } finally {
    if (mine === turn) $("results").removeAttribute("aria-busy");
  }
}

async function extend() {
  const mine = turn;
  $("more").hidden = true;
  try {
    const answer = await ask(query(current(), rows.length));
    if (mine !== turn) return;
    rows.push(...answer.hits.map((hit) => hit.row));
    $("results").append(...answer.hits.map(tile));
    $("more").hidden = answer.hits.length < AT_ONCE;
  } catch (error) { toast(error.message); }
}

function describe(parameters, answer) {
  const asked = parameters.has("like") || parameters.has("unlike") || parameters.has("expression");
  const faces = `${count(answer.searched)} ${answer.searched === 1 ? "face" : "faces"}`;
  const words = parameters.get("expression");
  $("status").textContent = parameters.has("like") ? `Closest of ${faces}` : asked && words ? `${faces}, most ${words} first` : faces;
  warn(answer.warning ?? "");
}

function warn(message) {
  $("warning").hidden = !message;
  $("warning").textContent = message && message[0].toUpperCase() + message.slice(1);
}

function tile(hit) {
  const who = [hit.identity, hit.label, hit.time_s === null ? null : moment(hit.time_s)].filter(Boolean).join(" · ");
  const score = hit.probability ?? null;
  const words = score !== null ? percent(score) : hit.score !== null ? hit.score.toFixed(2) : "";
  const title = [hit.name, hit.face > 1 ? `face ${hit.face}` : "", who, hit.score === null ? "" : `cosine ${hit.score.toFixed(3)}`]
    .filter(Boolean).join("\n");
  const open = h("button", {
    className: "face", title, data: { row: hit.row },
    aria: { label: [words, who, hit.name].filter(Boolean).join(", ") },
    on: { click: () => change({ open: hit.row }) },
  }, thumbnail(hit.row, ""), hit.folded ? h("span", { className: "fold", title: "shots of one moment" }, `${hit.folded + 1}`) : null);
  const meter = score === null ? null : h("span", { className: "meter", aria: { hidden: "true" } }, h("i"));
  if (meter) meter.firstChild.style.width = `${100 * score}%`;
  return h("li", { className: score !== null && score < 0.5 ? "tile weak" : "tile" }, open,
    h("div", { className: "judge" },
      judge(hit, "like", "+", "More like this"), judge(hit, "unlike", "−", "Less like this")),
    h("div", { className: "caption" }, h("b", {}, words), meter, h("span", { className: "name" }, who || hit.name)));
}

function judge(hit, kind, sign, words) {
  return h("button", { className: `icon ${kind}`, title: words, tabIndex: -1, aria: { label: `${words}: ${hit.name}` },
    on: { click: () => ponder(hit.row, kind) } }, sign);
}

/** Arrows go from face to face, + and − judge the one in focus. */
function walk(event) {
  const tiles = [...$("results").querySelectorAll("button.face")];
  const at = tiles.indexOf(document.activeElement);
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const columns = tiles.findIndex((each) => each.offsetTop > tiles[0].offsetTop);
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -at, End: tiles.length - 1 - at }[event.key];
  if (step !== undefined && tiles.length) {
    event.preventDefault();
    const to = at < 0 ? 0 : at + step;
    if (tiles[to]) { tiles[to].focus(); tiles[to].scrollIntoView({ block: "nearest" }); }
  } else if (at >= 0 && (event.key === "+" || event.key === "-")) ponder(tiles[at].dataset.row, event.key === "+" ? "like" : "unlike");
}
