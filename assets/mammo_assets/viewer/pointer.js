// Mouse, pen and fingers on the canvas.

import { grippedEnd } from "./rulers.js";

const FULL_LEVEL = 400; // CSS pixels of drag that move the level by one whole width
const DOUBLE_WIDTH = 140; // CSS pixels of drag that double the width
const SHORTEST = 4; // CSS pixels: a shorter ruler was a click

export class Pointer {
  constructor(viewer, controls) {
    this.viewer = viewer;
    this.controls = controls;
    this.space = false;
    this.cursor = null; // client position while it is over the canvas
    this.drag = null;
    this.fingers = new Map();
    const { canvas } = controls;
    const on = (type, handle) => canvas.addEventListener(type, handle, { passive: false });
    on("contextmenu", (event) => event.preventDefault());
    on("pointerdown", (event) => this.pressed(event));
    on("pointermove", (event) => this.moved(event));
    on("pointerup", (event) => this.released(event));
    on("pointercancel", (event) => this.released(event));
    on("pointerleave", () => this.left());
    on("wheel", (event) => this.wheel(event));
    on("dblclick", (event) => this.doubled(event));
  }

  /** What is under the cursor in the panes as they are now. */
  get hit() {
    return this.cursor && this.viewer.screenToImage(...this.cursor);
  }

  pressed(event) {
    const hit = this.viewer.screenToImage(event.clientX, event.clientY);
    if (!hit) return;
    event.preventDefault();
    this.controls.canvas.focus({ preventScroll: true });
    this.controls.canvas.setPointerCapture(event.pointerId);
    if (event.pointerType === "touch") this.fingers.set(event.pointerId, [event.clientX, event.clientY]);
    if (hit.pane.image) this.viewer.activate(hit.pane);
    this.drag = { kind: this.kindOf(event, hit), pane: hit.pane, x: event.clientX, y: event.clientY };
    if (!hit.pane.image) this.drag = null;
    else if (this.drag.kind === "ruler") this.startRuler(hit);
  }

  kindOf(event, hit) {
    if (this.fingers.size > 1) return "pinch";
    if (event.button !== 0 || event.shiftKey || this.space) return "pan";
    return this.gripUnder(hit) ? "ruler" : this.viewer.state.tool;
  }

  gripUnder({ pane, x, y }) {
    if (!pane.image || !this.viewer.state.annotations) return null;
    const ratio = this.viewer.pixelRatio;
    const rulers = this.viewer.rulers.get(pane.image.id) ?? [];
    return grippedEnd(pane, rulers, [(x - pane.rect.x) / ratio, (y - pane.rect.y) / ratio], this.viewer);
  }

  startRuler(hit) {
    let grip = this.gripUnder(hit);
    if (!grip) {
      const { rulers } = this.viewer;
      const ruler = { from: hit.image, to: hit.image };
      rulers.set(hit.pane.image.id, [...(rulers.get(hit.pane.image.id) ?? []), ruler]);
      grip = { ruler, end: "to", started: [hit.x, hit.y] };
    }
    this.drag.grip = grip;
    this.controls.selectRuler(grip.ruler);
  }

  moved(event) {
    this.follow(event);
    const { drag, viewer } = this;
    if (!drag) return;
    if (drag.kind === "pinch") return this.pinch(event);
    const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
    Object.assign(drag, { x: event.clientX, y: event.clientY });
    if (drag.kind === "pan") viewer.pan(drag.pane, dx * viewer.pixelRatio, dy * viewer.pixelRatio);
    else if (drag.kind === "ruler") this.dragRuler(event);
    else viewer.adjustTone(dy / FULL_LEVEL, 2 ** (dx / DOUBLE_WIDTH), event.altKey ? drag.pane.image : null);
    return undefined;
  }

  dragRuler(event) {
    const hit = this.viewer.screenToImage(event.clientX, event.clientY);
    if (hit?.pane !== this.drag.pane) return;
    const { image } = hit.pane;
    const within = (value, size) => Math.min(Math.max(value, 0), size);
    this.drag.grip.ruler[this.drag.grip.end] = [within(hit.image[0], image.columns), within(hit.image[1], image.rows)];
    this.controls.caption(hit.pane);
  }

  /** Two fingers: their middle pans, their distance zooms. */
  pinch(event) {
    if (!this.fingers.has(event.pointerId)) return;
    const before = spread([...this.fingers.values()]);
    this.fingers.set(event.pointerId, [event.clientX, event.clientY]);
    const after = spread([...this.fingers.values()]);
    const { viewer, drag } = this;
    const ratio = viewer.pixelRatio;
    viewer.pan(drag.pane, (after.x - before.x) * ratio, (after.y - before.y) * ratio);
    const box = this.controls.canvas.getBoundingClientRect();
    const [x, y] = [(after.x - box.left) * ratio, (after.y - box.top) * ratio];
    if (before.distance > 0) viewer.zoom(drag.pane, x, y, after.distance / before.distance);
  }

  released(event) {
    this.fingers.delete(event.pointerId);
    const { drag } = this;
    if (drag?.kind === "ruler" && drag.grip.started) {
      const hit = this.viewer.screenToImage(event.clientX, event.clientY);
      const [x, y] = drag.grip.started;
      const apart = hit ? Math.hypot(hit.x - x, hit.y - y) / this.viewer.pixelRatio : SHORTEST;
      if (apart < SHORTEST) this.controls.removeRuler();
    }
    this.drag = this.fingers.size > 0 ? drag : null;
  }

  /** Readout and magnifier follow the cursor, once per frame. */
  follow(event) {
    this.cursor = [event.clientX, event.clientY];
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      const { hit } = this;
      this.controls.showReadout(hit);
      this.updateGlass();
      const grip = hit?.image && !this.drag && this.gripUnder(hit);
      this.controls.canvas.style.cursor = grip ? "grab" : "";
    });
  }

  updateGlass() {
    const { viewer, hit } = this;
    if (viewer.state.magnifier && hit) viewer.painter.magnify({ pane: hit.pane, x: hit.x, y: hit.y });
    else if (viewer.painter.glass) viewer.painter.magnify(null);
  }

  left() {
    this.cursor = null;
    this.controls.showReadout(null);
    this.updateGlass();
  }

  wheel(event) {
    const hit = this.viewer.screenToImage(event.clientX, event.clientY);
    if (!hit?.pane.image) return;
    event.preventDefault();
    // Lines and pages as pixels; a trackpad's pinch arrives as ctrl + wheel with small steps.
    const unit = [1, 30, 300][event.deltaMode] * (event.ctrlKey ? 6 : 1);
    this.viewer.zoom(hit.pane, hit.x, hit.y, 2 ** (-Math.max(-300, Math.min(300, event.deltaY * unit)) / 400));
  }

  doubled(event) {
    const hit = this.viewer.screenToImage(event.clientX, event.clientY);
    if (hit?.pane.image && event.button === 0) this.viewer.toggleSingle(hit.pane);
  }

  destroy() {
    cancelAnimationFrame(this.frame);
  }
}

function spread(points) {
  const [a, b] = [points[0], points.at(-1)];
  return { x: (a[0] + b[0]) / 2, y: (a[1] + b[1]) / 2, distance: Math.hypot(a[0] - b[0], a[1] - b[1]) };
}
