// The viewer itself: its study, its state, and what the reader does to them. Drawing, loading and DOM are elsewhere.
//
// Units: a pane's `rect` and every (x, y) called a canvas point are device pixels of the canvas from its top left.

import { Controls } from "./controls.js";
import { exportPicture } from "./export.js";
import {
  canvasToImage, commonScales, fitBox, hungView, imageToCanvas, panBy, placeOf, rowShares, zoomAt, zoomOf,
} from "./geometry.js";
import { Screen } from "./gl.js";
import { filledSlots, makePanes, makeSlots, openingLayout, paneRects, upward } from "./layout.js";
import { Loader } from "./loader.js";
import { Painter } from "./paint.js";
import { OPENING, checkChanges } from "./state.js";
import { PixelStore } from "./store.js";
import { unitOf } from "./unit.js";
import { dragSetting, startSetting, toneOf } from "./voi.js";

const GAP = 2; // CSS pixels between panes that do not touch
const EMPTY = { nonce: "", study: "", title: "", images: [], heatPeak: 0, aiHidden: false, model: null, banner: "" };

export class Viewer extends EventTarget {
  /** Builds itself into `root`. Throws WebglMissing where the browser cannot show 16-bit pictures. */
  constructor(root, options = {}) {
    super();
    this.root = root;
    this.study = EMPTY;
    this.slots = makeSlots([]);
    this.panes = [];
    this.pages = new Map(); // which of several images a slot shows
    this.settings = new Map(); // image id -> its window, see voi.js
    this.rulers = new Map(); // image id -> [{from, to}]
    this.state = { ...OPENING };
    this.turn = 0;
    this.unit = 1; // see unit.js
    this.chosen = null; // {id, time} of the image last clicked
    this.controls = new Controls(this);
    this.canvas = this.controls.canvas;
    try {
      this.screen = new Screen(this.canvas, options);
    } catch (error) {
      this.controls.destroy();
      throw error;
    }
    this.store = new PixelStore(this.screen, options);
    this.loader = new Loader(this);
    this.painter = new Painter(this);
    this.canvas.addEventListener("webglcontextlost", (event) => this.contextLost(event));
    this.canvas.addEventListener("webglcontextrestored", () => this.contextRestored());
    this.watcher = new ResizeObserver(() => this.resize());
    this.watcher.observe(this.controls.stage);
    this.resize();
  }

  get activePane() {
    const filled = this.panes.filter((pane) => pane.image);
    const active = filled.filter((pane) => pane.slot.key === this.state.active);
    return active.find((pane) => pane.image.id === this.chosen?.id) ?? active[0] ?? filled[0] ?? null;
  }

  // ---- studies -----------------------------------------------------------------------------------------------

  /** Shows a study; resolves when its visible panes are painted (or superseded, with null). */
  async load(payload) {
    const started = performance.now();
    const study = { ...EMPTY, ...JSON.parse(JSON.stringify(payload ?? EMPTY)) };
    if (payload && !study.banner) throw new TypeError("viewer.load: the payload has no banner");
    const again = study.study !== "" && study.study === this.study.study;
    this.study = study;
    this.turn += 1;
    this.slots = makeSlots(study.images);
    this.state.aiHidden = Boolean(study.aiHidden);
    if (!again) {
      this.settings.clear();
      this.pages.clear();
      this.chosen = null;
      this.rulers.clear();
      Object.assign(this.state, { invert: false, fit: OPENING.fit });
      this.state.layout = openingLayout(this.slots);
      this.state.active = (filledSlots(this.slots)[0] ?? this.slots[0]).key;
    }
    this.loader.begin(study.images);
    this.arrange({ keepViews: again });
    return this.loadVisible(started);
  }

  async loadVisible(started) {
    const { turn, study } = this;
    const visible = [...new Set(this.panes.map((pane) => pane.image).filter(Boolean))];
    const cached = await this.loader.loadAll(visible);
    if (turn !== this.turn) return null;
    this.painter.paint();
    this.screen.readDisplay(0, 0); // waits for the drawing, so that "loaded" means painted
    const detail = {
      nonce: study.nonce, study: study.study, milliseconds: Math.round(performance.now() - started), cached,
      failed: visible.filter((image) => this.loader.errors.has(image.id)).length,
    };
    this.emit("loaded", detail);
    this.emitState();
    this.loader.prefetch(study.images);
    return detail;
  }

  // ---- layout ------------------------------------------------------------------------------------------------

  /** Fills the panes of the current layout. */
  arrange({ keepViews = false } = {}) {
    const before = this.panes;
    const layout = makePanes(this.state.layout, this.slots, this.state.active, this.chosen?.time);
    this.layout = layout;
    this.panes = layout.panes.map((pane, index) => {
      const images = pane.slot[pane.time];
      const page = Math.min(this.pages.get(pane.slot.key + pane.time) ?? 0, Math.max(images.length - 1, 0));
      const image = pane.image ?? images[page] ?? null;
      const old = before[index];
      const kept = keepViews && old && old.image && image && old.image.label === image.label;
      return {
        ...pane, index, page, pages: pane.image ? 1 : images.length, image,
        view: kept ? old.view : null, fitted: kept ? old.fitted : true, resample: true, tone: true,
      };
    });
    this.measurePanes();
    this.controls.rebuild();
    this.painter.everything();
  }

  measurePanes() {
    const gap = Math.round(GAP * this.pixelRatio);
    const filled = this.panes.filter((pane) => pane.image);
    for (const pane of filled) pane.box = fitBox(pane.image, this.state.fit === "image");
    const shares = rowShares(this.layout.rows, filled);
    const rects = paneRects(this.canvas.width, this.canvas.height, this.layout, gap, shares);
    this.panes.forEach((pane, index) => { pane.rect = rects[index]; });
    const scales = commonScales(filled);
    filled.forEach((pane, index) => {
      const { rect, image, box } = pane;
      pane.fitScale = scales[index];
      if (pane.fitted || !pane.view) pane.view = hungView(rect, image, scales[index], box, upward(image) === "H");
    });
  }

  get pixelRatio() {
    return window.devicePixelRatio || 1;
  }

  resize() {
    this.unit = unitOf(this.root.getBoundingClientRect());
    this.root.style.setProperty("--mv-unit", this.unit);
    const { width, height } = this.controls.stage.getBoundingClientRect();
    if (width < 1 || height < 1) return; // hidden, such as on another tab
    this.canvas.width = Math.round(width * this.pixelRatio);
    this.canvas.height = Math.round(height * this.pixelRatio);
    if (!this.layout) return this.arrange();
    this.measurePanes();
    this.controls.rebuild();
    this.painter.everything(true);
  }

  /** Changes any of the state's fields; unknown names and values are errors. */
  set(changes) {
    checkChanges(changes);
    const before = { ...this.state };
    Object.assign(this.state, changes);
    const moved = before.layout !== this.state.layout;
    if (moved && this.state.layout === "prior") this.state.active = this.slotWithPrior();
    const stepped = before.active !== this.state.active && ["single", "prior"].includes(this.state.layout);
    if (moved && !["single", "prior"].includes(this.state.layout)) this.back = this.state.layout;
    if (moved || stepped) {
      this.arrange();
      this.loadVisible(performance.now());
    }
    if ("fit" in changes && this.layout) this.refit();
    if (before.aiHidden && !this.state.aiHidden) this.loader.prefetch(this.study.images); // heatmaps were not fetched
    this.painter.retone();
    this.controls.refresh();
    this.emitState();
  }

  /** The layout that the study would open in, such as when more of its images have arrived. */
  hangAnew() {
    this.set({ layout: openingLayout(this.slots) });
  }

  /** The active slot, or the first other one if only that has a prior. */
  slotWithPrior() {
    const { active } = this.state;
    const compared = this.slots.filter((slot) => slot.prior.length > 0).map((slot) => slot.key);
    return compared.length === 0 || compared.includes(active) ? active : compared[0];
  }

  /** The reader works on this pane now. */
  activate(pane) {
    const { slot, time, image } = pane;
    if (this.chosen?.id === image.id && this.state.active === slot.key) return;
    this.chosen = { id: image.id, time };
    this.pages.set(slot.key + time, slot[time].indexOf(image));
    this.set({ active: slot.key });
  }

  /** Double click: this pane alone, and back. */
  toggleSingle(pane) {
    if (this.state.layout === "single") return this.set({ layout: this.back ?? openingLayout(this.slots) });
    this.activate(pane);
    return this.set({ layout: "single" });
  }

  /** Next or previous of several images in the active pane. */
  turnPage(step) {
    const pane = this.activePane;
    if (!pane || pane.pages < 2) return;
    const page = (pane.page + step + pane.pages) % pane.pages;
    this.pages.set(pane.slot.key + pane.time, page);
    this.chosen = { id: pane.slot[pane.time][page].id, time: pane.time };
    this.arrange();
    this.loadVisible(performance.now());
  }

  /** Next or previous view, where one view is shown at a time. */
  stepView(step) {
    const slots = filledSlots(this.slots);
    const index = slots.findIndex((slot) => slot.key === this.state.active);
    if (slots.length) this.set({ active: slots[(index + step + slots.length) % slots.length].key });
  }

  // ---- zoom and pan ------------------------------------------------------------------------------------------

  /** `pane` and, with link on, the others: each with the sign that mirrors left and right. */
  linked(pane) {
    const all = this.state.link ? this.panes.filter((other) => other.image) : [pane];
    return all.map((other) => ({ other, mirror: other.image.chestWall === pane.image.chestWall ? 1 : -1 }));
  }

  /** Zooms at a canvas point of a pane. */
  zoom(pane, x, y, factor) {
    const [left, top] = [x - pane.rect.x - pane.rect.width / 2, y - pane.rect.y - pane.rect.height / 2];
    for (const { other, mirror } of this.linked(pane)) {
      const { rect } = other;
      const at = [rect.x + rect.width / 2 + mirror * left, rect.y + rect.height / 2 + top];
      this.moved(other, zoomAt(rect, other.image, other.view, at[0], at[1], factor));
    }
  }

  pan(pane, dx, dy) {
    for (const { other, mirror } of this.linked(pane)) {
      this.moved(other, panBy(other.rect, other.image, other.view, mirror * dx, dy));
    }
  }

  moved(pane, view) {
    Object.assign(pane, { view, fitted: false, resample: true, tone: true });
    this.painter.schedule();
    this.emitState();
  }

  /** Fits the breasts; where they are fitted already, the whole images. */
  fit() {
    const fitted = this.state.fit === "breast" && this.panes.every((pane) => !pane.image || pane.fitted);
    this.set({ fit: fitted ? "image" : "breast" });
  }

  refit() {
    for (const pane of this.panes) pane.fitted = true;
    this.measurePanes();
    this.painter.everything();
  }

  /** One image pixel = one device pixel, about a canvas point or the middle of the active pane's chest wall. */
  actualSize(point) {
    const pane = point?.pane?.image ? point.pane : this.activePane;
    if (!pane) return;
    const [x, y] = point?.pane === pane ? [point.x, point.y] : this.anchor(pane);
    this.zoom(pane, x, y, 1 / zoomOf(pane.image, pane.view)[0]);
  }

  /** The canvas point that a zoom without a cursor keeps: at the chest wall, so that it does not end in air. */
  anchor({ rect, image }) {
    return [image.chestWall === "right" ? rect.x + rect.width : rect.x, rect.y + rect.height / 2];
  }

  // ---- window/level ------------------------------------------------------------------------------------------

  setting(image) {
    return this.settings.get(image.id) ?? startSetting(0);
  }

  /** {choice, center, width} of an image now, in modality units. */
  tone(image) {
    return toneOf(image, this.setting(image));
  }

  /** Relative drag on every image, or on one. */
  adjustTone(level, gain, only = null) {
    for (const image of only ? [only] : this.study.images) {
      this.settings.set(image.id, dragSetting(this.setting(image), level, gain));
    }
    this.painter.retone();
    this.emitState();
  }

  /** The file's VOI choice `index` of an image, and of every image that offers one of that name there. */
  chooseVoi(image, index) {
    const { name } = image.vois[index];
    for (const other of this.study.images) {
      if (other === image || other.vois[index]?.name === name) this.settings.set(other.id, startSetting(index));
    }
    this.painter.retone();
    this.controls.refresh();
    this.emitState();
  }

  nextVoi(step) {
    const image = this.activePane?.image;
    if (image) this.chooseVoi(image, (this.tone(image).choice + step + image.vois.length) % image.vois.length);
  }

  /** Back to how the study opened: first VOI, no invert, fit. */
  reset() {
    this.settings.clear();
    this.set({ invert: false, fit: OPENING.fit });
  }

  // ---- pictures, events, context -----------------------------------------------------------------------------

  /** PNG of what is shown, with the banner burnt in; saved as a download unless told not to. */
  async exportPicture({ download = true } = {}) {
    const picture = await exportPicture(this, { download });
    this.emit("exported", { name: picture.name, width: picture.width, height: picture.height });
    return picture;
  }

  emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  /** Says `state` once things are quiet. */
  emitState() {
    clearTimeout(this.stateTimer);
    this.stateTimer = setTimeout(() => {
      const image = this.activePane?.image ?? null;
      const { choice, center, width } = image ? this.tone(image) : {};
      const zoom = image ? zoomOf(image, this.activePane.view)[0] : null;
      const shown = { image: image?.id ?? null, label: image?.label ?? null, voi: choice, center, width, zoom };
      this.emit("state", { ...this.state, ...shown });
    }, 150);
  }

  contextLost(event) {
    event.preventDefault(); // asks the browser to restore it
    this.lost = true;
    this.store.clear();
    this.controls.notice("The graphics driver was reset; the pictures come back in a moment.");
  }

  contextRestored() {
    this.lost = false;
    this.screen.restore();
    this.controls.notice("");
    this.turn += 1;
    this.loader.begin(this.study.images);
    this.painter.everything(true);
    this.loadVisible(performance.now());
  }

  destroy() {
    this.turn += 1;
    clearTimeout(this.stateTimer);
    this.watcher.disconnect();
    this.controls.destroy();
    this.painter.stop();
    this.store.clear();
    this.screen.gl.getExtension("WEBGL_lose_context")?.loseContext();
    this.root.replaceChildren();
  }

  // ---- diagnostics -------------------------------------------------------------------------------------------

  /** RGBA shown at device pixel (x, y) of a pane, really read back from the drawing buffer. */
  readDisplay(paneIndex, x, y) {
    this.painter.paint();
    const { rect } = this.panes[paneIndex];
    return this.screen.readDisplay(rect.x + x, rect.y + y);
  }

  /** Stored value at an image pixel. */
  readValue(imageId, x, y) {
    const image = this.study.images.find((one) => one.id === imageId);
    const loaded = image && this.store.ready(image.url);
    return loaded ? this.screen.readValue(loaded, Math.floor(x / loaded.shrunk), Math.floor(y / loaded.shrunk)) : null;
  }

  paneOf(label) {
    return this.panes.findIndex((pane) => pane.image?.label === label);
  }

  /** Client (CSS) position of an image point in a pane. */
  imageToScreen(paneIndex, x, y) {
    const { rect, image, view } = this.panes[paneIndex];
    const [left, top] = imageToCanvas(placeOf(rect, image, view), x, y);
    const box = this.canvas.getBoundingClientRect();
    return { x: box.left + left / this.pixelRatio, y: box.top + top / this.pixelRatio };
  }

  /** What lies under a client (CSS) position: {pane, canvas: [x, y], image: [x, y] | null}; null beside every pane. */
  screenToImage(clientX, clientY) {
    const box = this.canvas.getBoundingClientRect();
    const [x, y] = [(clientX - box.left) * this.pixelRatio, (clientY - box.top) * this.pixelRatio];
    const pane = this.panes.find(
      ({ rect }) => x >= rect.x && x < rect.x + rect.width && y >= rect.y && y < rect.y + rect.height,
    );
    if (!pane) return null;
    const image = pane.image && canvasToImage(placeOf(pane.rect, pane.image, pane.view), x, y);
    return { pane, x, y, image };
  }
}
