// One hit, large: the whole photo with the face framed, a video at its moment, and what is known of both.

import { ponder } from "./ask.js";
import { $, ask, h, moment, percent, toast } from "./dom.js";
import { shownRows } from "./grid.js";
import { change, current } from "./state.js";

let shown = null;

export function startViewer() {
  const dialog = $("viewer");
  dialog.addEventListener("cancel", (event) => { event.preventDefault(); close(); });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) close(); });
  dialog.addEventListener("keydown", (event) => {
    if (event.target.matches("video") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "ArrowLeft") step(-1);
    else if (event.key === "ArrowRight") step(1);
    else if (event.key === "+") ponder(shown, "like");
    else if (event.key === "-") ponder(shown, "unlike");
    else return;
    event.preventDefault();
  });
}

const close = () => change({ open: null });

function step(by) {
  const rows = shownRows(), to = rows[rows.indexOf(shown) + by];
  if (to !== undefined) change({ open: to }, { replace: true });
}

/** Open, change or close, as the address says. */
export async function showViewer(parameters) {
  const dialog = $("viewer"), row = parameters.get("open");
  if (row === null) {
    if (dialog.open) dialog.close();
    const back = document.querySelector(`button.face[data-row="${shown}"]`);
    shown = null;
    dialog.replaceChildren();
    return back?.focus({ preventScroll: true });
  }
  if (shown === Number(row)) return null;
  shown = Number(row);
  const mine = shown;
  try {
    const about = await ask(`/api/face/${mine}`);
    if (shown !== mine) return null;
    draw(dialog, about);
  } catch (error) {
    if (shown !== mine) return null;
    toast(error.message);
    return change({ open: null }, { replace: true });
  }
  if (!dialog.open) dialog.showModal();
  return dialog.querySelector(".stage").focus();
}

function draw(dialog, about) {
  const photo = h("img", { src: `/photo/${about.row}.jpg`, alt: `Photo ${about.source}` });
  const frames = Object.entries(about.boxes).filter(([, box]) => box).map(([row, box]) => frame(Number(row), box, about));
  const stage = h("div", { className: "framed stage", tabIndex: -1 }, photo, frames);
  const [width, height] = about.photo_px;
  stage.style.width = `min(100%, calc(var(--stage-height) * ${width / height}), ${4 * width}px)`;
  const rows = shownRows(), at = rows.indexOf(about.row);
  const arrow = (by, sign, words) => h("button", { className: `arrow ${by < 0 ? "left" : "right"}`, disabled: rows[at + by] === undefined || at < 0,
    aria: { label: words }, title: words, on: { click: () => step(by) } }, sign);
  dialog.replaceChildren(
    h("div", { className: "picture" }, arrow(-1, "‹", "Previous face"), stage, arrow(1, "›", "Next face")),
    h("div", { className: "about" },
      h("button", { className: "icon close", aria: { label: "Close" }, title: "Close (Esc)", on: { click: close } }, "×"),
      h("h2", {}, about.source.split(/[\\/]/).pop()),
      h("p", { className: "soft path" }, about.source),
      h("div", { className: "row" },
        h("button", { className: "primary", on: { click: () => change({ like: about.row, unlike: null, expression: null, open: null }) } }, "Look for this expression"),
        h("button", { on: { click: () => ponder(about.row, "like") } }, "More like this"),
        h("button", { on: { click: () => ponder(about.row, "unlike") } }, "Less like this"),
        about.video ? h("button", { on: { click: () => play(stage, about) } }, `Play from ${moment(about.time_s ?? 0)}`) : null),
      facts(about), classes(about)));
}

function frame(row, box, about) {
  const own = row === about.row;
  const element = h("button", { className: own ? "frame own" : "frame", disabled: own, title: own ? "This face" : "Show this face",
    aria: { label: own ? "This face" : `Another face of the photo, number ${row}` }, on: { click: () => change({ open: row }, { replace: true }) } });
  const [left, top, right, bottom] = box;
  const sides = { left, top, width: right - left, height: bottom - top };
  for (const [name, share] of Object.entries(sides)) element.style[name] = `${100 * share}%`;
  return element;
}

function play(stage, about) {
  const video = h("video", { src: `/video/${about.row}`, controls: true, autoplay: true, currentTime: about.time_s ?? 0 });
  video.addEventListener("error", () => { toast("this browser cannot play the video"); draw($("viewer"), about); });
  stage.replaceChildren(video);
  video.focus();
}

function facts(about) {
  const degrees = (value) => `${Math.round(value)}°`;
  const known = [
    ["Person", about.identity], ["Label", about.label],
    ["Time", about.time_s === null ? null : moment(about.time_s)],
    ["Face", Object.keys(about.boxes).length > 1 ? `number ${about.face} from the left` : null],
    ["Size", about.size_px === null ? null : `${Math.round(about.size_px)} px`],
    ["Sharpness", about.sharpness === null ? null : about.sharpness.toFixed(2)],
    ["Turned", about.yaw === null ? null : `${degrees(Math.abs(about.yaw))} sideways, ${degrees(Math.abs(about.pitch))} ${about.pitch < 0 ? "down" : "up"}`],
    ["Valence", about.valence?.toFixed(2)], ["Arousal", about.arousal?.toFixed(2)],
  ].filter(([, value]) => value);
  return h("dl", { className: "facts" }, known.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

function classes(about) {
  if (!about.expressions) return null;
  const best = Object.entries(about.expressions).sort((a, b) => b[1] - a[1]);
  return h("div", { className: "shares" }, h("h3", {}, "Reads as"), best.map(([name, share]) => {
    const meter = h("span", { className: "meter" }, h("i"));
    meter.firstChild.style.width = `${100 * share}%`;
    return h("div", { className: "share" }, h("button", { className: "link", title: `Look for ${name}`,
      on: { click: () => change({ expression: name, like: null, unlike: null, open: null }) } }, name), meter, h("span", {}, percent(share)));
  }));
}
