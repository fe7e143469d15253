// Mammography workstation viewer: 16-bit pictures at full resolution on one WebGL 2 context. No build step, no
// dependencies, nothing from outside this folder and the payload's own URLs.
//
// Payload of `load` (plain JSON; every picture is already hung: right chest walls right, left ones left):
//   {nonce, study, title, heatPeak, aiHidden, banner, model: {name, version, threshold} | null,
//    images: [{id, label, laterality: "R" | "L" | null, view, prior, date, columns, rows,
//      url                                        little-endian uint16, rows x columns; the cache's key
//      breast: [x0, y0, x1, y1]                   around the breast in image pixels, half-open: what a fit shows
//      monochrome1, slope, intercept, padding: [low, high] | null (stored values), chestWall: "left" | "right",
//      vois: [{name, kind: "window", center, width, function: "LINEAR" | "LINEAR_EXACT" | "SIGMOID"} |
//             {name, kind: "lut", first, bits, url}],           url of a table: little-endian uint16 entries
//      spacing: {row, column, source} | null                     mm
//      score: string | null                       as the app writes it
//      heat: {url, columns, rows, peak} | null    uint8, stretched over the whole picture; 255 = this view's own peak
//      heatReason, facts: [[name, value], ...]}]}
// `heatPeak` is the largest peak of the current exam: heat is shown as value / 255 * peak / heatPeak, or without that
// factor under the per-view option. With `aiHidden` no score, heat, reason or model is shown and no heat is fetched.
// Loading the same `study` again keeps layout, zoom, windows and rulers (a new `nonce` only says "take this one").
//
// Events (CustomEvent, `detail`): loaded {nonce, study, milliseconds, cached, failed}, failed {nonce, image, message},
// state {layout, active, image, center, width, voi, invert, zoom, heat, ...}, exported {name, width, height}.

import { WebglMissing } from "./gl.js";
import { Viewer } from "./workstation.js";

export { Viewer, WebglMissing };

/**
 * Puts a viewer into a gr.HTML component, from its js_on_load:
 *   import('/mammo/static/viewer/viewer.js').then(m => m.mountGradio(element, props, trigger, watch))
 * The template is constant (`<div class="mammo-viewer"></div>`), so that the canvas survives. `props.value` is the
 * payload, `props.display` (optional) goes to `set`. Events reach Python if their names stand quoted in js_on_load.
 * Gradio fires no watch for an equal value: change `nonce` to load the same study again.
 */
export function mountGradio(element, props, trigger, watch) {
  const root = element.querySelector(".mammo-viewer") ?? element;
  if (window.mammoViewer && !window.mammoViewer.root.isConnected) window.mammoViewer.destroy(); // an unmounted one
  let viewer;
  try {
    viewer = new Viewer(root);
  } catch (error) {
    if (!(error instanceof WebglMissing)) throw error;
    root.textContent = error.message;
    trigger("failed", { nonce: "", image: "", message: error.message });
    return null;
  }
  for (const type of ["loaded", "failed", "state", "exported"]) {
    viewer.addEventListener(type, (event) => trigger(type, event.detail));
  }
  const display = () => props.display && viewer.set(JSON.parse(JSON.stringify(props.display)));
  watch("value", () => viewer.load(props.value));
  watch("display", display);
  window.mammoViewer = viewer;
  if (props.value) viewer.load(props.value);
  display();
  return viewer;
}
