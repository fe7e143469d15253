// Where an image lies in its pane, and back. A pane's view is {x, y, scale}: the image point at the pane's middle and
// canvas pixels per unit, where a unit is a millimetre if the image's spacing is known, else a pixel.
// Image coordinates are continuous: pixel (i, j) covers [i, i + 1) x [j, j + 1), its centre is at .5.

const MIN_SHOWN = 48; // canvas pixels: an image is never zoomed out or pushed away beyond this
const MAX_ZOOM = 32; // canvas pixels per image pixel
const MARGIN = 0.03; // around a fitted breast, as a part of its longer side
const LOWEST_ROW = 0.6; // of the tallest: a row whose breasts are small still has room for what is written on it

/** Size of one image pixel in units: mm where known, so that equal scales mean equal magnification. */
export function unitSize({ spacing }) {
  return spacing ? [spacing.column, spacing.row] : [1, 1];
}

/** Canvas pixels per image pixel, across and down. */
export function zoomOf(image, view) {
  const [across, down] = unitSize(image);
  return [view.scale * across, view.scale * down];
}

/** Canvas position of the image's corner, and the zoom. At 1:1, 2:1, 1:2... it falls on whole pixels, unblurred. */
export function placeOf(rect, image, view) {
  const zoom = zoomOf(image, view);
  let origin = [rect.x + rect.width / 2 - view.x * zoom[0], rect.y + rect.height / 2 - view.y * zoom[1]];
  if (zoom.every(isWhole) || zoom.every((factor) => isWhole(1 / factor))) origin = origin.map(Math.round);
  return { origin, zoom };
}

function isWhole(number) {
  return Math.abs(number - Math.round(number)) < 1e-6;
}

export function imageToCanvas(place, x, y) {
  return [place.origin[0] + x * place.zoom[0], place.origin[1] + y * place.zoom[1]];
}

export function canvasToImage(place, x, y) {
  return [(x - place.origin[0]) / place.zoom[0], (y - place.origin[1]) / place.zoom[1]];
}

/**
 * What a fit shows of an image, [x0, y0, x1, y1] in its pixels: all of it, or the breast with a margin of air on every
 * side but the chest wall's, where the two sides of a pair meet.
 */
export function fitBox({ columns, rows, breast, chestWall }, whole) {
  if (whole) return [0, 0, columns, rows];
  const [x0, y0, x1, y1] = breast;
  const margin = MARGIN * Math.max(x1 - x0, y1 - y0);
  return [
    chestWall === "left" ? x0 : Math.max(x0 - margin, 0),
    Math.max(y0 - margin, 0),
    chestWall === "right" ? x1 : Math.min(x1 + margin, columns),
    Math.min(y1 + margin, rows),
  ];
}

/** Width and height of a box of image pixels in units. */
function boxSize(image, [x0, y0, x1, y1]) {
  const [across, down] = unitSize(image);
  return [(x1 - x0) * across, (y1 - y0) * down];
}

/**
 * Common fit: left and right, CC and MLO at one scale in mm; images without a known spacing at one scale in pixels.
 * `panes` = [{rect, image, box}]; gives the scale of each.
 */
export function commonScales(panes) {
  const scales = new Map();
  for (const { rect, image, box } of panes) {
    const [width, height] = boxSize(image, box);
    const fits = Math.min(rect.width / width, rect.height / height);
    scales.set(!image.spacing, Math.min(fits, scales.get(!image.spacing) ?? Infinity));
  }
  return panes.map(({ image }) => scales.get(!image.spacing));
}

/**
 * Heights of a layout's rows, in proportion to the tallest box of each, so that a common scale leaves little unused.
 * Equal where there is nothing to compare: a row without image, or images in mm beside images in pixels.
 */
export function rowShares(rows, panes) {
  const tallest = Array(rows).fill(0);
  for (const { row, image, box } of panes) tallest[row] = Math.max(tallest[row], boxSize(image, box)[1]);
  const known = panes.filter(({ image }) => image.spacing).length;
  if (tallest.includes(0) || (known > 0 && known < panes.length)) return tallest.map(() => 1);
  return tallest.map((height) => Math.max(height, LOWEST_ROW * Math.max(...tallest)));
}

/**
 * View at a scale with the chest wall's side of a box at that edge of the pane (right breasts at the right edge). The
 * box is centred from top to bottom; `hangs` from the top, as both sides of an MLO pair do, whose muscles then meet.
 */
export function hungView(rect, image, scale, [x0, y0, x1, y1], hangs) {
  const [across, down] = zoomOf(image, { scale });
  const half = rect.width / 2 / across;
  const y = hangs ? y0 + rect.height / 2 / down : (y0 + y1) / 2;
  return { x: image.chestWall === "right" ? x1 - half : x0 + half, y, scale };
}

/** Zooms by a factor keeping the image point under canvas point (x, y) of the pane where it is. */
export function zoomAt(rect, image, view, x, y, factor) {
  const [across, down] = unitSize(image);
  const lowest = MIN_SHOWN / Math.max(image.columns * across, image.rows * down);
  const scale = Math.min(Math.max(view.scale * factor, lowest), MAX_ZOOM / Math.min(across, down));
  const [left, up] = [x - rect.x - rect.width / 2, y - rect.y - rect.height / 2];
  const shift = 1 / view.scale - 1 / scale;
  return keepInSight(rect, image, { x: view.x + (left * shift) / across, y: view.y + (up * shift) / down, scale });
}

/** Moves the image by canvas pixels. */
export function panBy(rect, image, view, dx, dy) {
  const [across, down] = zoomOf(image, view);
  return keepInSight(rect, image, { ...view, x: view.x - dx / across, y: view.y - dy / down });
}

function keepInSight(rect, image, view) {
  const [across, down] = zoomOf(image, view);
  const within = (value, size, room, zoom) => {
    const slack = room / 2 / zoom - Math.min(MIN_SHOWN / zoom, size);
    return Math.min(Math.max(value, -slack), size + slack);
  };
  return {
    ...view,
    x: within(view.x, image.columns, rect.width, across),
    y: within(view.y, image.rows, rect.height, down),
  };
}

/** Length between two image points: {length, unit, source}; pixels where no spacing is known. */
export function measure(image, from, to) {
  const [across, down] = unitSize(image);
  const length = Math.hypot((to[0] - from[0]) * across, (to[1] - from[1]) * down);
  return image.spacing
    ? { length, unit: "mm", source: image.spacing.source }
    : { length, unit: "px", source: "no pixel spacing in the file" };
}
