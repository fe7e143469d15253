// The unit in which the viewer's own sizes are meant: toolbar, writing, rulers, magnifier. It grows with the viewer,
// since a larger screen has more room and is read from farther away.

const SMALL = { width: 820, height: 640 }; // CSS pixels of a viewer in which the unit is one
const GROWTH = 1900; // CSS pixels more that double it
const LARGEST = 2.4;

/** CSS pixels per unit in a viewer of this size in CSS pixels. */
export function unitOf({ width, height }) {
  const grown = 1 + Math.min(width - SMALL.width, height - SMALL.height) / GROWTH;
  return Math.min(Math.max(grown, 1), LARGEST);
}
