// What is written on a pane. Text stands on the side away from the chest wall, where the picture is air.

import { element, setText, svg } from "./dom.js";
import { zoomOf } from "./geometry.js";
import { upward } from "./layout.js";
import { drawRulers } from "./rulers.js";
import { voiName } from "./voi.js";

/** One pane's writing: `node` to put over it, `update()` after every paint. */
export class Caption {
  constructor(viewer, pane, { onRetry, onRemoveRuler }) {
    this.viewer = viewer;
    this.pane = pane;
    this.onRemoveRuler = onRemoveRuler;
    const { image, slot, time } = pane;
    const outer = (image?.chestWall ?? (slot.laterality === "R" ? "right" : "left")) === "right" ? "left" : "right";
    this.page = element("span", { class: "mv-chip" });
    this.score = element("span", { class: "mv-chip" });
    this.noHeat = element("span", { class: "mv-chip mv-quiet" });
    this.window = element("div");
    this.zoom = element("div");
    this.notes = element("div", { class: "mv-warn" });
    this.rule = element("div", { class: "mv-scale" }, element("i"), element("span"));
    this.rulers = svg("svg", { class: "mv-rulers" });
    this.bar = element("i");
    this.text = element("p");
    this.again = element("button", { type: "button", onclick: () => onRetry(pane.image) }, "Try again");
    const progress = element("div", { class: "mv-progress" }, this.bar);
    this.message = element("div", { class: "mv-message" }, this.text, progress, this.again);
    const label = image?.label ?? slot.key;
    this.top = element("div", { class: "mv-top" },
      element("div", { class: "mv-label" }, label, this.page),
      time === "prior" ? element("div", { class: "mv-prior" }, `Prior ${dateText(image?.date)}`) : null,
      element("div", { class: "mv-chips" }, this.score, this.noHeat));
    this.bottom = element("div", { class: "mv-bottom" }, this.notes, this.window, this.zoom, this.rule);
    this.node = element("div", { class: `mv-pane mv-outer-${outer}` },
      this.rulers, this.top, this.bottom, ...letters(image, outer), this.message);
  }

  update() {
    const { viewer, pane } = this;
    const { image } = pane;
    const alone = viewer.panes.length === 1;
    this.node.classList.toggle("mv-active", !alone && viewer.activePane === pane);
    this.place();
    this.updateMessage();
    const shown = viewer.state.annotations && image;
    this.node.classList.toggle("mv-bare", !shown);
    if (!image) return;
    setText(this.page, pane.pages > 1 ? `${pane.page + 1}/${pane.pages}` : "");
    this.updateScore();
    this.updateBottom();
    const rulers = viewer.rulers.get(image.id) ?? [];
    drawRulers(this.rulers, viewer, pane, rulers, this.onRemoveRuler);
  }

  place() {
    const { rect } = this.pane;
    const { pixelRatio: ratio, unit } = this.viewer;
    const box = { left: rect.x, top: rect.y, width: rect.width, height: rect.height };
    for (const [side, value] of Object.entries(box)) this.node.style[side] = `${value / ratio}px`;
    this.node.classList.toggle("mv-small", rect.height / ratio < 240 * unit || rect.width / ratio < 300 * unit);
  }

  updateScore() {
    const { study, state } = this.viewer;
    const { score, heat, heatReason } = this.pane.image;
    const known = score !== null && !state.aiHidden;
    setText(this.score, known ? `AI ${score}` : "");
    // The threshold is for breasts and the exam, so that no view is flagged by itself.
    const { name, version, threshold } = study.model ?? {};
    const about = threshold ? `. The threshold ${threshold} is for a breast, not for one view` : "";
    this.score.title = known && study.model ? `Score of this view by ${name} ${version}${about}` : "";
    const failed = state.heat ? this.viewer.loader.heatErrors.get(this.pane.image.id) : "";
    const reason = state.aiHidden || !state.heat ? "" : failed || (heat ? "" : heatReason || "");
    setText(this.noHeat, reason.split(":")[0]);
    this.noHeat.title = reason;
  }

  updateBottom() {
    const { viewer, pane } = this;
    const { image } = pane;
    const tone = viewer.tone(image);
    const number = (value) => (Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3));
    setText(this.window, `C ${number(tone.center)}  W ${number(tone.width)}  ${voiName(image.vois[tone.choice])}`);
    const zoom = zoomOf(image, pane.view);
    const percent = zoom[0] * 100;
    const shown = `${percent < 10 ? percent.toFixed(1) : percent.toFixed(0)} %`;
    setText(this.zoom, viewer.state.invert ? `${shown}  inverted` : shown);
    const shrunk = viewer.store.ready(image.url)?.shrunk ?? 1;
    setText(this.notes, shrunk > 1 ? `Shown at 1/${shrunk} of its resolution: too big for this graphics driver` : "");
    this.updateScale(image, pane.view.scale / viewer.pixelRatio);
  }

  /** A bar of a round number of millimetres, about a tenth of the pane. */
  updateScale(image, perMillimetre) {
    const { rect } = this.pane;
    const most = (rect.width / this.viewer.pixelRatio) * 0.22;
    const length = [100, 50, 20, 10, 5, 2, 1].find((mm) => mm * perMillimetre <= most);
    this.rule.hidden = !image.spacing || !length;
    if (this.rule.hidden) return;
    this.rule.firstChild.style.width = `${length * perMillimetre}px`;
    setText(this.rule.lastChild, length >= 10 ? `${length / 10} cm` : `${length} mm`);
    this.rule.title = image.spacing.source;
  }

  updateMessage() {
    const { viewer, pane } = this;
    const { image, slot, time } = pane;
    const error = image && viewer.loader.errors.get(image.id);
    const ready = image && viewer.store.ready(image.url);
    this.message.hidden = Boolean(ready && !error);
    this.again.hidden = !error;
    this.bar.parentNode.hidden = !image || Boolean(error);
    this.message.classList.toggle("mv-error", Boolean(error));
    if (this.message.hidden) return;
    const part = image ? viewer.store.progress(image.url) : 0;
    this.bar.style.width = `${part * 100}%`;
    const absent = time === "prior" ? `No prior ${slot.key}` : `No ${slot.key} in this study`;
    const missing = viewer.study.images.length > 0 ? absent : "";
    setText(this.text, error || (image ? `${image.label}  ${Math.floor(part * 100)} %` : missing));
  }
}

/** Orientation of a hung picture: anterior on the outer side; lateral (CC) or head (MLO) up. PS3.3 C.7.6.1.1.1. */
function letters(image, outer) {
  if (!image || !["L", "R"].includes(image.laterality)) return [];
  const up = upward(image);
  const letter = (side, text) => element("span", { class: `mv-letter mv-at-${side}` }, text);
  return [letter(outer, "A"), ...(up ? [letter("top", up)] : [])];
}

/** YYYYMMDD as YYYY-MM-DD; anything else as it is. */
export function dateText(date) {
  return /^\d{8}$/.test(date ?? "") ? `${date.slice(0, 4)}-${date.slice(4, 6)}-${date.slice(6)}` : (date ?? "");
}
