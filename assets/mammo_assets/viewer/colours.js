// Colours of the heatmap: matplotlib's inferno, whose lightness rises evenly, so that hotter always looks hotter
// (also in print and to colour-blind readers). As the polynomial fitted by M. Zucker (CC0), within 4 % of its table.

const COEFFICIENTS = [
  [0.0002189403691192265, 0.001651004631001012, -0.01948089843709184],
  [0.1065134194856116, 0.5639564367884091, 3.932712388889277],
  [11.60249308247187, -3.972853965665698, -15.9423941062914],
  [-41.70399613139459, 17.43639888205313, 44.35414519872813],
  [77.162935699427, -33.40235894210092, -81.80730925738993],
  [-71.31942824499214, 32.62606426397723, 73.20951985803202],
  [25.13112622477341, -12.24266895238567, -23.07032500287172],
];

/** Colour of a heat level in [0, 1] as three numbers in [0, 255]. */
export function heatColour(level) {
  return [0, 1, 2].map((channel) => {
    const value = COEFFICIENTS.reduceRight((sum, row) => sum * level + row[channel], 0);
    return Math.round(255 * Math.min(1, Math.max(0, value)));
  });
}

/** The 256 colours as RGBA bytes, for a texture or a canvas one pixel high. */
export function heatTable() {
  const table = new Uint8ClampedArray(256 * 4);
  for (let level = 0; level < 256; level++) table.set([...heatColour(level / 255), 255], level * 4);
  return table;
}
