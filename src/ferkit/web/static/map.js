// The map of the set: every face a dot, as many as there is room for as pictures; pan, zoom, colour, lasso.

import { ponderAll } from "./ask.js";
import { $, ask, count, h, thumbnail } from "./dom.js";
import { setShownRows } from "./grid.js";
import { change, current } from "./state.js";

const COLOURS = ["#8d96a5", "#e8a61c", "#3f7fd0", "#25a69a", "#8e5bd0", "#6d9b2e", "#d8452e", "#d0629b", "#9c6b3f", "#4fb3d9", "#b5b042", "#7c7fe0"];
const SMALL = 36, LARGE = 104, AT_ONCE = 6, MOST_PICTURES = 700, MOST_KEPT = 3000, NEAR = 14, EDGE = 56;

let map = null; // {x, y, colours: {name: {values, codes}}, order}
let view = { x: 0.5, y: 0.5, scale: 1 }; // centre in map units, and how many times the fitted size
let drawn = []; // pictures of the last frame: {row, x, y, size}
let lasso = null, lassoing = false, drawing = false, colour = "shows", frame = 0, polling = false;
const pictures = new Map(), wanted = [];
let loading = 0;

const canvas = h("canvas", { className: "map-canvas", tabIndex: 0 });
const hover = h("div", { className: "map-hover", hidden: true });
const legend = h("ul", { className: "legend", aria: { label: "Colours" } });
const chosen = h("aside", { className: "map-chosen", hidden: true, aria: { label: "Faces inside the lasso" } });
const words = h("p", { className: "map-words", role: "status" });

export async function showMap(parameters) {
  const shown = parameters.get("view") === "map";
  $("map-view").hidden = !shown;
  if (!shown) return;
  if (!$("map-view").childElementCount) build();
  colour = parameters.get("colour") ?? "shows";
  lasso = readLasso(parameters.get("lasso"));
  if (!map) await load();
  if (map) { describe(); select(); redraw(); }
}

function build() {
  const tool = (text, label, click) => h("button", { className: "icon", title: label, aria: { label }, on: { click } }, text);
  const lassoButton = h("button", { id: "lasso", title: "Draw around faces (L, or hold Shift)", aria: { pressed: "false" }, on: { click: () => setLassoing(!lassoing) } }, "Lasso");
  const select = h("select", { id: "colour", aria: { label: "Colour by" }, on: { change: () => change({ colour: select.value }, { replace: true }) } });
  $("map-view").append(
    h("div", { className: "map-tools" }, h("label", {}, "Colour by ", select), lassoButton,
      tool("+", "Zoom in", () => zoom(1.5)), tool("−", "Zoom out", () => zoom(1 / 1.5)), tool("⤢", "Whole map", () => { view = { x: 0.5, y: 0.5, scale: 1 }; redraw(); }), words),
    h("div", { className: "map-body" }, h("div", { className: "map-frame" }, canvas, hover, legend), chosen));
  new ResizeObserver(redraw).observe(canvas);
  listen();
}

async function load() {
  if (polling) return;
  polling = true;
  words.textContent = "The map is being computed, once for this set…";
  try {
    for (;;) {
      const status = await ask("/api/map");
      if (status.ready) { map = await points(status); break; }
      words.textContent = `The map is being computed, once for this set… ${Math.round(status.seconds)} s`;
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  } catch (error) { words.textContent = error.message; }
  polling = false;
}

/** The points come as numbers: x and y of each face as 32-bit floats, then for each colour a byte a face. */
async function points(status) {
  const bytes = await (await fetch("/api/map/points")).arrayBuffer(), n = status.faces;
  const places = new Float32Array(bytes, 0, 2 * n), x = new Float32Array(n), y = new Float32Array(n);
  for (let row = 0; row < n; row += 1) { x[row] = places[2 * row]; y[row] = places[2 * row + 1]; }
  const colours = {};
  status.colours.forEach(({ name, title, values }, at) => {
    colours[name] = { title, values, codes: new Uint8Array(bytes, 8 * n + at * n, n) };
  });
  const select = $("colour");
  select.replaceChildren(...Object.entries(colours).map(([name, { title }]) => h("option", { value: name }, title)));
  if (!colours[colour]) colour = Object.keys(colours)[0];
  // Who gets a picture where there is not room for all: the same faces at every zoom, from all over the set.
  const order = new Uint32Array(n);
  for (let row = 0; row < n; row += 1) order[row] = Math.imul(row + 1, 2654435761) >>> 0;
  return { x, y, colours, order, n };
}

const codes = () => map.colours[colour]?.codes;
const paint = (row) => { const code = codes()?.[row] ?? 255; return code === 255 ? "#9aa1ab" : COLOURS[code % COLOURS.length]; };

function describe() {
  $("colour").value = colour;
  words.textContent = `${count(map.n)} faces; alike ones lie together. Drag to move, scroll to zoom, click to open.`;
  canvas.setAttribute("aria-label", `Map of ${count(map.n)} faces. Arrows move, plus and minus zoom, L draws a lasso. The list of faces holds the same ones.`);
  canvas.setAttribute("role", "img");
  const used = map.colours[colour];
  const counts = new Map();
  for (const code of used?.codes ?? []) counts.set(code, (counts.get(code) ?? 0) + 1);
  const named = (used?.values ?? []).map((value, code) => [value, code, counts.get(code) ?? 0]).filter(([, , number]) => number);
  legend.replaceChildren(...named.slice(0, COLOURS.length).map(([value, code, number]) => {
    const dot = h("i");
    dot.style.background = COLOURS[code % COLOURS.length];
    return h("li", {}, dot, h("span", {}, value), h("small", {}, count(number)));
  }));
  legend.hidden = !named.length || used.values.length > COLOURS.length;
}

// drawing

function geometry() {
  const width = canvas.clientWidth, height = canvas.clientHeight;
  // Far apart and near are all that a map of this kind tells: it may fill whatever shape there is.
  const across = (width - EDGE) * view.scale, down = (height - EDGE) * view.scale;
  return { width, height, across, down, left: width / 2 - view.x * across, top: height / 2 - view.y * down };
}

function redraw() { if (!frame) frame = requestAnimationFrame(() => { frame = 0; draw(); }); }

function draw() {
  if (!map || $("map-view").hidden) return;
  const ratio = window.devicePixelRatio || 1, { width, height, across, down, left, top } = geometry();
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  const size = Math.min(LARGE, SMALL * view.scale ** 0.45);
  const shown = choose(across, down, left, top, width, height, size * 1.12);
  drawDots(context, across, down, left, top, width, height);
  drawn = [];
  for (const row of shown) {
    const x = map.x[row] * across + left, y = map.y[row] * down + top;
    const picture = pictureOf(row);
    if (!picture) continue;
    drawn.push({ row, x, y, size });
    context.fillStyle = paint(row);
    context.beginPath();
    context.roundRect(x - size / 2 - 2.5, y - size / 2 - 2.5, size + 5, size + 5, 7);
    context.fill();
    context.save();
    context.beginPath();
    context.roundRect(x - size / 2, y - size / 2, size, size, 5);
    context.clip();
    context.drawImage(picture, x - size / 2, y - size / 2, size, size);
    context.restore();
  }
  if (lasso) drawLasso(context, across, down, left, top);
  loadPictures();
}

/** One face for each cell of a grid that is fixed to the map, so that moving changes nothing. */
function choose(across, down, left, top, width, height, room) {
  const cells = new Map(), margin = room;
  for (let row = 0; row < map.n; row += 1) {
    const x = map.x[row] * across + left, y = map.y[row] * down + top;
    if (x < -margin || y < -margin || x > width + margin || y > height + margin) continue;
    const key = Math.floor((map.x[row] * across) / room) * 100003 + Math.floor((map.y[row] * down) / room);
    const other = cells.get(key);
    if (other === undefined || map.order[row] < map.order[other]) cells.set(key, row);
  }
  return [...cells.values()].sort((a, b) => map.order[a] - map.order[b]).slice(0, MOST_PICTURES);
}

function drawDots(context, across, down, left, top, width, height) {
  const batches = new Map(), side = view.scale > 4 ? 5 : 3.2, used = codes();
  for (let row = 0; row < map.n; row += 1) {
    const x = map.x[row] * across + left, y = map.y[row] * down + top;
    if (x < 0 || y < 0 || x > width || y > height) continue;
    const code = used ? used[row] : 255;
    if (!batches.has(code)) batches.set(code, []);
    batches.get(code).push(x, y);
  }
  for (const [code, places] of batches) {
    context.fillStyle = code === 255 ? "#9aa1ab" : COLOURS[code % COLOURS.length];
    for (let at = 0; at < places.length; at += 2) context.fillRect(places[at] - side / 2, places[at + 1] - side / 2, side, side);
  }
}

function drawLasso(context, across, down, left, top) {
  context.beginPath();
  lasso.forEach(([x, y], at) => context[at ? "lineTo" : "moveTo"](x * across + left, y * down + top));
  if (!drawing) context.closePath();
  context.strokeStyle = "#d8452e";
  context.lineWidth = 2;
  context.fillStyle = "#d8452e1c";
  context.fill();
  context.stroke();
}

// pictures: a few are fetched at a time, those of the newest view first

function pictureOf(row) {
  const picture = pictures.get(row);
  if (picture === undefined) { wanted.push(row); return null; }
  return picture;
}

function loadPictures() {
  if (wanted.length > MOST_PICTURES) wanted.splice(0, wanted.length - MOST_PICTURES);
  while (loading < AT_ONCE && wanted.length) {
    const row = wanted.pop();
    if (pictures.has(row)) continue;
    pictures.set(row, null);
    if (pictures.size > MOST_KEPT) pictures.delete(pictures.keys().next().value);
    const picture = new Image();
    loading += 1;
    picture.onload = () => { loading -= 1; pictures.set(row, picture); redraw(); };
    picture.onerror = () => { loading -= 1; loadPictures(); };
    picture.src = `/thumbnail/${row}.jpg`;
  }
  wanted.length = 0;
}

// moving about

function zoom(factor, x = canvas.clientWidth / 2, y = canvas.clientHeight / 2) {
  const { width, height, across, down, left, top } = geometry();
  const scale = Math.min(400, Math.max(0.7, view.scale * factor)), grown = scale / view.scale;
  view = { scale, x: (x - left) / across + (width / 2 - x) / (across * grown), y: (y - top) / down + (height / 2 - y) / (down * grown) };
  redraw();
}

function move(x, y) {
  const { across, down } = geometry();
  view.x = Math.min(1.2, Math.max(-0.2, view.x - x / across));
  view.y = Math.min(1.2, Math.max(-0.2, view.y - y / down));
  redraw();
}

function listen() {
  const pointers = new Map();
  let travelled = 0;
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), event.offsetX, event.offsetY);
  }, { passive: false });
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, event);
    travelled = 0;
    if (event.button === 0 && (lassoing || event.shiftKey)) { drawing = true; lasso = [place(event)]; }
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return peek(event);
    const x = event.offsetX - before.offsetX, y = event.offsetY - before.offsetY;
    travelled += Math.hypot(x, y);
    if (drawing) { lasso.push(place(event)); redraw(); }
    else if (pointers.size === 2) pinch(pointers, event);
    else move(x, y);
    pointers.set(event.pointerId, event);
    hover.hidden = true;
  });
  const up = (event) => {
    if (!pointers.delete(event.pointerId)) return;
    if (drawing) finishLasso();
    else if (travelled < 5 && event.type === "pointerup") {
      const row = at(event.offsetX, event.offsetY);
      if (row !== null) change({ open: row });
    }
  };
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
  canvas.addEventListener("pointerleave", () => { hover.hidden = true; });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[event.key];
    if (step) move(...step);
    else if (event.key === "+") zoom(1.4);
    else if (event.key === "-") zoom(1 / 1.4);
    else if (event.key === "l") setLassoing(!lassoing);
    else return;
    event.preventDefault();
  });
}

function pinch(pointers, event) {
  const [a, b] = [...pointers.values()], other = a.pointerId === event.pointerId ? b : a, before = pointers.get(event.pointerId);
  const distance = (p, q) => Math.hypot(p.offsetX - q.offsetX, p.offsetY - q.offsetY);
  zoom(distance(event, other) / Math.max(1, distance(before, other)), (event.offsetX + other.offsetX) / 2, (event.offsetY + other.offsetY) / 2);
}

const place = (event) => { const { across, down, left, top } = geometry(); return [(event.offsetX - left) / across, (event.offsetY - top) / down]; };

/** The face at a point of the screen: the topmost picture, else the nearest dot. */
function at(x, y) {
  for (let each = drawn.length - 1; each >= 0; each -= 1) {
    const { row, x: left, y: top, size } = drawn[each];
    if (Math.abs(left - x) <= size / 2 && Math.abs(top - y) <= size / 2) return row;
  }
  const { across, down, left, top } = geometry();
  let best = null, nearest = NEAR ** 2;
  for (let row = 0; row < map.n; row += 1) {
    const distance = (map.x[row] * across + left - x) ** 2 + (map.y[row] * down + top - y) ** 2;
    if (distance < nearest) { nearest = distance; best = row; }
  }
  return best;
}

function peek(event) {
  const row = map ? at(event.offsetX, event.offsetY) : null;
  canvas.style.cursor = lassoing ? "crosshair" : row === null ? "grab" : "pointer";
  hover.hidden = row === null;
  if (row === null) return;
  if (hover.dataset.row !== `${row}`) {
    hover.dataset.row = row;
    const named = map.colours[colour], code = named?.codes[row];
    hover.replaceChildren(thumbnail(row, ""), h("span", {}, named?.values[code] ?? ""));
  }
  const flip = event.offsetX > canvas.clientWidth - 160;
  hover.style.left = `${event.offsetX + (flip ? -152 : 18)}px`;
  hover.style.top = `${Math.min(event.offsetY + 12, canvas.clientHeight - 170)}px`;
}

// the lasso

export function setLassoing(on) {
  lassoing = on;
  $("lasso").setAttribute("aria-pressed", on);
  canvas.style.cursor = on ? "crosshair" : "grab";
}

function finishLasso() {
  drawing = false;
  const every = Math.max(1, Math.ceil(lasso.length / 60)); // few enough corners for an address
  const corners = lasso.filter((_, index) => index % every === 0);
  setLassoing(false);
  change({ lasso: corners.length < 3 ? null : corners.map((corner) => corner.map((part) => part.toFixed(4)).join(",")).join(";") });
}

function readLasso(text) {
  const corners = (text ?? "").split(";").map((corner) => corner.split(",").map(Number));
  return corners.length > 2 && corners.every((corner) => corner.length === 2 && corner.every(Number.isFinite)) ? corners : null;
}

function inside(x, y) {
  let odd = false;
  for (let a = 0, b = lasso.length - 1; a < lasso.length; b = a, a += 1) {
    const [ax, ay] = lasso[a], [bx, by] = lasso[b];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) odd = !odd;
  }
  return odd;
}

function select() {
  chosen.hidden = !lasso;
  if (!lasso) { setShownRows([]); return chosen.replaceChildren(); }
  const rows = [];
  for (let row = 0; row < map.n; row += 1) if (inside(map.x[row], map.y[row])) rows.push(row);
  setShownRows(rows);
  const counts = new Map(), used = map.colours[colour];
  for (const row of rows) counts.set(used?.codes[row], (counts.get(used?.codes[row]) ?? 0) + 1);
  const most = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 4).filter(([code]) => used?.values[code]);
  chosen.replaceChildren(
    h("h2", {}, `${count(rows.length)} ${rows.length === 1 ? "face" : "faces"}`),
    h("p", { className: "soft" }, most.map(([code, number]) => `${used.values[code]} ${count(number)}`).join(" · ")),
    h("div", { className: "row" },
      h("button", { className: "primary", disabled: !rows.length, on: { click: () => ponderAll(rows) } }, "More like these"),
      h("button", { on: { click: () => change({ lasso: null }) } }, "Let go")),
    h("ol", { className: "grid tight" }, rows.slice(0, 300).map((row) => h("li", { className: "tile" },
      h("button", { className: "face", data: { row }, aria: { label: `Face ${row}` }, on: { click: () => change({ open: row }) } }, thumbnail(row, ""))))),
    rows.length > 300 ? h("p", { className: "soft" }, "The first 300 are shown.") : "");
}
