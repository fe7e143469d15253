// When what is drawn: panes that changed, once per animation frame, each with as little work as the change needs.

import { canvasToImage, placeOf } from "./geometry.js";
import { toneCurve } from "./voi.js";

const GLASS_PART = 0.22; // radius of the magnifier as a part of the smaller canvas side
const GLASS_LARGEST = 170; // units (unit.js)

export class Painter {
  constructor(viewer) {
    this.viewer = viewer;
    this.request = 0;
    this.glass = null; // {pane, x, y} while the magnifier is over a picture
  }

  schedule() {
    this.request ||= requestAnimationFrame(() => this.paint());
  }

  stop() {
    cancelAnimationFrame(this.request);
  }

  /** Everything is drawn again; `now` before the browser shows the emptied canvas. */
  everything(now = false) {
    for (const pane of this.viewer.panes) Object.assign(pane, { resample: true, tone: true });
    this.wipe = true;
    if (now) this.paint();
    else this.schedule();
  }

  /** Grey levels or heat changed everywhere, geometry nowhere. */
  retone() {
    for (const pane of this.viewer.panes) pane.tone = true;
    this.schedule();
  }

  /** An image arrived (or only more of its bytes: then the pane's progress is redrawn). */
  invalidate(image, arrived) {
    for (const pane of this.viewer.panes) {
      if (pane.image !== image) continue;
      if (arrived) Object.assign(pane, { resample: true, tone: true });
      pane.caption = true;
    }
    this.schedule();
  }

  /** Moves, shows or (null) hides the magnifier. */
  magnify(glass) {
    if (this.glass) this.glass.pane.tone = true;
    this.glass = glass?.pane.image ? glass : null;
    if (this.glass) this.glass.pane.tone = true;
    this.schedule();
  }

  paint() {
    cancelAnimationFrame(this.request);
    this.request = 0;
    const { viewer } = this;
    const { screen, canvas, panes } = viewer;
    if (viewer.lost || !canvas.width || !viewer.layout) return;
    if (screen.fitCanvas() || this.wipe) {
      this.wipe = false;
      screen.clear({ x: 0, y: 0, width: canvas.width, height: canvas.height });
      for (const pane of panes) Object.assign(pane, { resample: true, tone: true });
    }
    for (const pane of panes) {
      if (pane.tone) this.paintPane(pane);
      if (pane.tone || pane.caption) viewer.controls.caption(pane);
      Object.assign(pane, { resample: false, tone: false, caption: false });
    }
  }

  paintPane(pane) {
    const { screen, store } = this.viewer;
    const loaded = pane.image && store.ready(pane.image.url);
    if (!loaded) return screen.clear(pane.rect);
    const place = placeOf(pane.rect, pane.image, pane.view);
    const look = this.look(pane.image);
    if (pane.resample) screen.resample(pane.rect, loaded, place);
    screen.tone(pane.rect, loaded, place, look);
    if (this.glass?.pane === pane) this.paintGlass(pane, loaded, place, look);
    return undefined;
  }

  /** What grey levels and heat an image is shown with. */
  look(image) {
    const { viewer } = this;
    const { state, study, store } = viewer;
    const tone = viewer.tone(image);
    const voi = image.vois[tone.choice];
    const table = voi.kind === "lut" ? store.ready(voi.url) : null;
    return {
      ...toneCurve(image, tone, table?.entries ?? 1),
      table,
      inverted: image.monochrome1 !== state.invert,
      heat: this.heatLook(image, state, study, store),
    };
  }

  heatLook(image, { heat, aiHidden, opacity, threshold, perView }, { heatPeak }, store) {
    if (!heat || aiHidden || !image.heat || opacity === 0) return null;
    const loaded = store.ready(image.heat.url);
    if (!loaded) return null;
    const gain = perView || !(heatPeak > 0) ? 1 : image.heat.peak / heatPeak;
    return { texture: loaded.texture, opacity, threshold, gain };
  }

  /** The glass shows the point under it unmoved and everything around it `glass` times as big. */
  paintGlass(pane, loaded, place, look) {
    const { viewer } = this;
    const { x, y } = this.glass;
    const [column, row] = canvasToImage(place, x, y);
    const zoom = place.zoom.map((factor) => factor * viewer.state.glass);
    const near = { origin: [x - column * zoom[0], y - row * zoom[1]], zoom };
    const { width, height } = viewer.canvas;
    const radius = Math.min(GLASS_PART * Math.min(width, height), GLASS_LARGEST * viewer.unit * viewer.pixelRatio);
    viewer.screen.lens(pane.rect, loaded, near, look, { x, y, radius });
  }
}
