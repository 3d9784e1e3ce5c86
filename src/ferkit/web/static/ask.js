// What is asked with: a photo by drop, file, clipboard or camera; one of its faces; faces of the set.

import { $, ask, h, thumbnail, toast } from "./dom.js";
import { change, current } from "./state.js";

const MOST_BYTES = 40e6;
let photo = null; // {url, faces, width, height}: of this visit only

export function startAsking() {
  $("choose").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", () => {
    if ($("file").files[0]) use($("file").files[0]);
    $("file").value = "";
  });
  startDropping();
  document.addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files ?? [])].find((each) => each.type.startsWith("image/"));
    if (file) { event.preventDefault(); use(file); }
  });
  startCamera();
}

function startDropping() {
  let depth = 0;
  const holdsFile = (event) => event.dataTransfer?.types.includes("Files");
  const veil = (shown) => { $("veil").hidden = !shown; };
  document.addEventListener("dragenter", (event) => { if (holdsFile(event)) { depth += 1; veil(true); } });
  document.addEventListener("dragleave", (event) => { if (holdsFile(event) && --depth <= 0) { depth = 0; veil(false); } });
  document.addEventListener("dragover", (event) => { if (holdsFile(event)) event.preventDefault(); });
  document.addEventListener("drop", (event) => {
    if (!holdsFile(event)) return;
    event.preventDefault();
    depth = 0;
    veil(false);
    const files = [...event.dataTransfer.files];
    if (files.length > 1) toast("one photo at a time; the first was taken");
    if (files[0]) use(files[0]);
  });
}

function startCamera() {
  if (!navigator.mediaDevices?.getUserMedia) return;
  const dialog = $("camera"), video = dialog.querySelector("video");
  const stop = () => {
    for (const track of video.srcObject?.getTracks() ?? []) track.stop();
    video.srcObject = null;
  };
  $("camera-open").hidden = false;
  $("camera-open").addEventListener("click", async () => {
    try {
      video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { width: 1280, facingMode: "user" } });
    } catch { return toast("the camera cannot be used; allow it for this page, or choose a photo"); }
    dialog.showModal();
    await video.play();
  });
  $("camera-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", stop);
  $("camera-take").addEventListener("click", () => {
    const canvas = h("canvas", { width: video.videoWidth, height: video.videoHeight });
    canvas.getContext("2d").drawImage(video, 0, 0);
    dialog.close();
    canvas.toBlob((blob) => use(blob), "image/png");
  });
}

/** Find the faces of a photo; a lone one is asked with at once. */
async function use(file) {
  if (file.size > MOST_BYTES) return toast("the photo is larger than 40 MB; take a smaller one");
  document.body.classList.add("busy");
  try {
    const headers = { "content-type": "application/octet-stream" };
    const { faces } = await ask("/api/faces", { method: "POST", body: file, headers });
    if (photo) URL.revokeObjectURL(photo.url);
    photo = { url: URL.createObjectURL(file), faces };
    for (const face of faces) remember(face.like, face.crop);
    take(faces.length === 1 ? faces[0] : null);
  } catch (error) {
    toast(error.message);
  } finally {
    document.body.classList.remove("busy");
  }
}

/** Ask with a face of the photo, in place of those of other photos. */
function take(face) {
  if (face) {
    change({ like: face.like, unlike: null, expression: null, open: null, view: null, lasso: null });
    $("results").focus({ preventScroll: true });
  }
  showPhoto();
}

function showPhoto() {
  const box = $("photo");
  box.hidden = !photo;
  if (!photo) return box.replaceChildren();
  const asked = current().getAll("like");
  const frames = photo.faces.map((face, number) => {
    const frame = h("button", {
      className: "frame",
      title: "Look for this expression",
      aria: { label: `Face ${number + 1} of ${photo.faces.length}`, pressed: asked.includes(face.like) },
      on: { click: () => take(face) },
    });
    const [left, top, right, bottom] = face.box ?? [0, 0, 1, 1];
    const sides = { left, top, width: right - left, height: bottom - top };
    for (const [name, share] of Object.entries(sides)) frame.style[name] = `${100 * share}%`;
    return frame;
  });
  const words = photo.faces.length > 1 ? `${photo.faces.length} faces: click the one to ask with` : "your photo";
  box.replaceChildren(
    h("div", { className: "framed" }, h("img", { src: photo.url, alt: "The photo to ask with" }), frames),
    h("p", { className: "soft" }, words, " ",
      h("button", { className: "link", on: { click: forget } }, "take it away")),
  );
}

function forget() {
  if (photo) URL.revokeObjectURL(photo.url);
  const own = new Set(photo?.faces.map((face) => face.like));
  photo = null;
  showPhoto();
  change({ like: current().getAll("like").filter((like) => !own.has(like)) });
}

/** Keep the small picture of an asked face for this tab: the address holds its vector alone. */
function remember(like, crop) {
  try { sessionStorage.setItem(like, crop); } catch { /* full: the chip does without a picture */ }
}

/** Draw the examples and counter-examples as chips. */
export function showExamples(parameters) {
  const expression = parameters.get("expression");
  const chips = [
    ...(expression ? [classChip(expression)] : []),
    ...parameters.getAll("like").map((value) => chip("like", value)),
    ...parameters.getAll("unlike").map((value) => chip("unlike", value)),
  ];
  $("chips").replaceChildren(...chips);
  $("chips").hidden = !chips.length;
  $("drop").classList.toggle("small", chips.length > 0);
  showPhoto();
}

function classChip(expression) {
  return h("li", { className: "chip expression" }, h("span", {}, expression),
    h("button", { className: "icon", title: "Take away", aria: { label: `Take away: ${expression}` }, on: { click: () => change({ expression: null }) } }, "×"));
}

function chip(kind, value) {
  const isRow = /^\d+$/.test(value);
  const crop = isRow ? null : sessionStorage.getItem(value);
  const words = kind === "like" ? "like this" : "unlike this";
  const alt = isRow ? `Face ${value} of the set` : "Face of a photo";
  const picture = isRow ? thumbnail(value, alt)
    : crop ? h("img", { src: crop, alt, width: 128, height: 128 }) : h("span", { className: "lost" }, "photo");
  const remove = () => change({ [kind]: current().getAll(kind).filter((each) => each !== value) });
  return h("li", { className: `chip ${kind}` }, picture, h("span", {}, words),
    h("button", { className: "icon", title: "Take away", aria: { label: `Take away: ${words}, ${alt}` }, on: { click: remove } }, "×"));
}

/** More like some faces of the set: the first, the last and as many between as an address holds. */
export function ponderAll(rows) {
  const most = 24, every = Math.max(1, (rows.length - 1) / (most - 1));
  const like = new Set(Array.from({ length: Math.min(most, rows.length) }, (_, at) => rows[Math.round(at * every)]));
  change({ like: [...like], unlike: null, expression: null, view: null, lasso: null, open: null });
}

/** More or less like a face of the set: as an example, or a counter-example, never both. */
export function ponder(row, kind) {
  const other = kind === "like" ? "unlike" : "like";
  const value = `${row}`, parameters = current();
  const has = parameters.getAll(kind).includes(value);
  change({
    [kind]: has ? parameters.getAll(kind).filter((each) => each !== value) : [...parameters.getAll(kind), value],
    [other]: parameters.getAll(other).filter((each) => each !== value),
    open: null,
  });
}
