// The question lives in the page's address, so that it can be bookmarked, sent, and gone back from.

const listeners = [];

/** The address's parameters, as a copy that may be changed. */
export const current = () => new URLSearchParams(location.search);

/** Call `listener` whenever the address has changed, with its parameters and the names of those that differ. */
export function onChange(listener) { listeners.push(listener); }

/** Go to another state. `replace` leaves no step for the back button. */
export function go(parameters, { replace = false } = {}) {
  const query = parameters.toString();
  const url = query ? `/?${query}` : "/";
  if (url === location.pathname + location.search) return;
  const before = current();
  history[replace ? "replaceState" : "pushState"](null, "", url);
  tell(before);
}

/** Change some parameters: a list sets several, null takes one away. */
export function change(changes, options) {
  const parameters = current();
  for (const [name, value] of Object.entries(changes)) {
    parameters.delete(name);
    for (const each of [value].flat()) if (each !== null && each !== "") parameters.append(name, each);
  }
  go(parameters, options);
}

function tell(before) {
  const after = current();
  const names = new Set([...before.keys(), ...after.keys()]);
  const changed = new Set([...names].filter((name) => `${before.getAll(name)}` !== `${after.getAll(name)}`));
  for (const listener of listeners) listener(after, changed);
}

let shown = current();
onChange((parameters) => { shown = parameters; });
window.addEventListener("popstate", () => tell(shown));
