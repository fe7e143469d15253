// What the reader and the app can set on the viewer, and what it opens with.

import { LAYOUTS } from "./layout.js";

/**
 * `layout` and `active` (a slot such as "RCC"); `fit` to the "breast" of each image or to the whole "image"; `tool` of
 * the left mouse button; `invert`; `link` (zoom and pan together, mirrored); `heat` shown, its `opacity` and `threshold`
 * in [0, 1], scaled `perView` or per exam; `magnifier` shown, `glass` its power; `annotations` shown; `aiHidden` for
 * blind reading.
 */
export const OPENING = Object.freeze({
  layout: "four",
  active: "RCC",
  fit: "breast",
  tool: "window",
  invert: false,
  link: true,
  heat: true,
  opacity: 0.5,
  threshold: 0.3,
  perView: false,
  magnifier: false,
  glass: 2,
  annotations: true,
  aiHidden: false,
});

const CHOICES = {
  layout: LAYOUTS.map((layout) => layout.name),
  fit: ["breast", "image"],
  tool: ["window", "pan", "ruler"],
  glass: [2, 4],
};

/** Throws TypeError, in words, unless every change names a field and gives it a value it can have. */
export function checkChanges(changes) {
  for (const [name, value] of Object.entries(changes)) {
    if (!Object.hasOwn(OPENING, name)) throw new TypeError(`viewer.set: there is no "${name}"`);
    if (CHOICES[name] && !CHOICES[name].includes(value)) {
      throw new TypeError(`viewer.set: ${name} is one of ${CHOICES[name].join(", ")}, not ${value}`);
    }
    const kind = typeof OPENING[name];
    if (typeof value !== kind) throw new TypeError(`viewer.set: ${name} is a ${kind}, not ${typeof value}`);
  }
}
