// Where an image lies in its pane, and back. A pane's view is {x, y, scale}: the image point at the pane's middle and
// canvas pixels per unit, where a unit is a millimetre if the image's spacing is known, else a pixel.
// Image coordinates are continuous: pixel (i, j) covers [i, i + 1) x [j, j + 1), its centre is at .5.

const MIN_SHOWN = 48; // canvas pixels: an image is never zoomed out or pushed away beyond this
const MAX_ZOOM = 32; // canvas pixels per image pixel

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

/** Scale at which the whole image just fits its pane. */
export function fitScale(rect, image) {
  const [across, down] = unitSize(image);
  return Math.min(rect.width / (image.columns * across), rect.height / (image.rows * down));
}

/**
 * Common fit: panes whose spacing is known share one scale in mm, the others one scale per row of panes.
 * `panes` = [{rect, image, row}]; gives the scale of each.
 */
export function commonScales(panes) {
  const group = ({ image, row }) => (image.spacing ? "mm" : `row ${row}`);
  const scales = new Map();
  for (const pane of panes) {
    const fits = fitScale(pane.rect, pane.image);
    scales.set(group(pane), Math.min(fits, scales.get(group(pane)) ?? Infinity));
  }
  return panes.map((pane) => scales.get(group(pane)));
}

/** View at a scale with the chest wall on its side of the pane (right breasts at the right edge), rows centred. */
export function hungView(rect, image, scale) {
  const [across] = zoomOf(image, { scale });
  const half = rect.width / 2 / across;
  return { x: image.chestWall === "right" ? image.columns - half : half, y: image.rows / 2, scale };
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
