// Rulers: drawn over a pane in SVG, kept in image coordinates, so that they stay on the tissue they measure.

import { svg } from "./dom.js";
import { imageToCanvas, measure, placeOf } from "./geometry.js";

const GRIP = 9; // units (unit.js) around an end in which it can be caught

/** "12.4 mm - Imager Pixel Spacing (0018,1164), at the detector", in two parts. */
export function rulerText(image, { from, to }) {
  const { length, unit, source } = measure(image, from, to);
  return { length: `${length.toFixed(unit === "mm" ? 1 : 0)} ${unit}`, source };
}

/** Both ends of a ruler from its pane's corner, in CSS pixels or whatever has `ratio` canvas pixels. */
export function rulerEnds(pane, ruler, ratio) {
  const place = placeOf(pane.rect, pane.image, pane.view);
  return [ruler.from, ruler.to].map((end) => {
    const [x, y] = imageToCanvas(place, end[0], end[1]);
    return [(x - pane.rect.x) / ratio, (y - pane.rect.y) / ratio];
  });
}

/** Where a ruler's words stand in a pane of this size, all in units (unit.js): beside an end, where there is room. */
export function wordsPlace([[x1, y1], [x2, y2]], width, height) {
  const right = Math.max(x1, x2) < width - 100;
  const x = right ? Math.max(x1, x2) + 8 : Math.min(x1, x2) - 8;
  const y = Math.min(Math.max(x1 > x2 === right ? y1 : y2, 14), height - 20);
  return { x, y, right };
}

/** The ruler of a pane whose end lies under a point (CSS pixels of the pane): {ruler, end: "from" | "to"} or null. */
export function grippedEnd(pane, rulers, point, { pixelRatio, unit }) {
  for (const ruler of [...rulers].reverse()) {
    const ends = rulerEnds(pane, ruler, pixelRatio);
    const index = ends.findIndex(([x, y]) => Math.hypot(x - point[0], y - point[1]) <= GRIP * unit);
    if (index >= 0) return { ruler, end: index === 0 ? "from" : "to" };
  }
  return null;
}

/** Draws the rulers of a pane into its SVG layer. */
export function drawRulers(layer, viewer, pane, rulers, onRemove) {
  layer.replaceChildren(...rulers.map((ruler) => drawRuler(viewer, pane, ruler, onRemove)));
}

function drawRuler({ pixelRatio: ratio, unit, controls }, pane, ruler, onRemove) {
  const selected = ruler === controls.ruler;
  const [[x1, y1], [x2, y2]] = rulerEnds(pane, ruler, ratio);
  const { length, source } = rulerText(pane.image, ruler);
  const across = Math.hypot(x2 - x1, y2 - y1) || 1;
  const [nx, ny] = [(-(y2 - y1) / across) * 5 * unit, ((x2 - x1) / across) * 5 * unit];
  const line = { class: "mv-ruler-line", x1, y1, x2, y2 };
  const tick = (x, y) => svg("line", { class: "mv-ruler-line", x1: x - nx, y1: y - ny, x2: x + nx, y2: y + ny });
  const size = ratio * unit;
  const place = wordsPlace(rulerEnds(pane, ruler, size), pane.rect.width / size, pane.rect.height / size);
  const at = { x: place.x * unit, "text-anchor": place.right ? "start" : "end" };
  const y = place.y * unit;
  return svg("g", { class: selected ? "mv-ruler mv-selected" : "mv-ruler" },
    svg("line", { ...line, class: "mv-ruler-shadow" }),
    svg("line", line), tick(x1, y1), tick(x2, y2),
    svg("circle", { class: "mv-ruler-grip", cx: x1, cy: y1, r: 4 * unit }),
    svg("circle", { class: "mv-ruler-grip", cx: x2, cy: y2, r: 4 * unit }),
    svg("text", { class: "mv-ruler-length", ...at, y }, length),
    svg("text", { class: "mv-ruler-source", ...at, y: y + 13 * unit }, source),
    selected
      ? svg("text", { class: "mv-ruler-remove", ...at, y: y - 14 * unit, onclick: onRemove }, "× remove") : null);
}
