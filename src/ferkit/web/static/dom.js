// Small things that every part of the page needs: elements, requests, messages.

/** Make an element. Properties are set, text is never read as HTML; `on` holds listeners, `data` the dataset. */
export function h(tag, properties = {}, ...children) {
  const { on = {}, data = {}, aria = {}, ...rest } = properties;
  const element = document.createElement(tag);
  Object.assign(element, rest);
  Object.assign(element.dataset, data);
  for (const [name, value] of Object.entries(aria)) element.setAttribute(`aria-${name}`, value);
  for (const [name, listener] of Object.entries(on)) element.addEventListener(name, listener);
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const $ = (id) => document.getElementById(id);

/** Ask the server for JSON; what it refuses is an Error with its sentence. One that is busy is asked again. */
export async function ask(url, options = {}, tries = 4) {
  const response = await fetch(url, options);
  if (response.status === 429 && tries > 1) {
    await new Promise((resolve) => setTimeout(resolve, 500 + 1000 * Math.random()));
    return ask(url, options, tries - 1);
  }
  const text = await response.text();
  let answer = {};
  try { answer = JSON.parse(text); } catch { answer = { error: text }; }
  if (!response.ok) throw new Error(answer.error || `the server answers ${response.status}`);
  return answer;
}

let hiding = 0;

/** Show a sentence for some seconds. */
export function toast(message) {
  const box = $("toast");
  box.textContent = message[0].toUpperCase() + message.slice(1);
  box.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => { box.hidden = true; }, 7000);
}

export const percent = (share) => `${Math.round(100 * share)} %`;

export const count = (number) => number.toLocaleString("en");

/** Seconds as 1:02.5 */
export function moment(seconds) {
  const rest = (seconds % 60).toFixed(1).padStart(4, "0");
  return `${Math.floor(seconds / 60)}:${rest}`;
}

/** The picture of a face of the set; where there is none any more it says so. */
export function thumbnail(row, alt) {
  const image = h("img", { src: `/thumbnail/${row}.jpg`, alt, width: 128, height: 128, decoding: "async", draggable: false });
  let tries = 3;
  image.addEventListener("error", () => {
    if (tries-- > 0) setTimeout(() => { image.src = `/thumbnail/${row}.jpg?${tries}`; }, 700);
    else image.replaceWith(h("span", { className: "lost", title: alt }, "picture not there any more, or changed"));
  });
  return image;
}
