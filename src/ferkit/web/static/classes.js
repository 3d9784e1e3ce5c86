// The classes of the encoder's head as starting points: the face of the set that shows each best.

import { $, ask, count, h, thumbnail } from "./dom.js";
import { change } from "./state.js";

let starts = null;

export async function showClasses(parameters, about) {
  const names = [...parameters.keys()].filter((name) => !["open", "view"].includes(name));
  const box = $("classes");
  box.hidden = !about.ready || names.length > 0;
  if (!about.ready) return;
  starts ??= await ask("/api/starts");
  box.hidden ||= !starts.length;
  if (box.childElementCount || !starts.length) return;
  $("find-words").replaceChildren(...starts.map(({ expression }) => h("option", { value: expression })));
  box.replaceChildren(
    h("h2", { className: "soft" }, "or begin with an expression"),
    ...starts.map(({ expression, row, count: number }) => h("button", {
      on: { click: () => change({ expression }) }, aria: { label: `${expression}, ${count(number)} faces` },
    }, thumbnail(row, ""), h("b", {}, expression), h("small", {}, count(number)))),
  );
}
