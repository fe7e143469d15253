// The viewer's own DOM: toolbar, stage with the canvas and what is written on it, status bar, cards.

import { Caption } from "./captions.js";
import { helpCard, sawCard } from "./cards.js";
import { heatTable } from "./colours.js";
import { element, setText } from "./dom.js";
import { Keyboard } from "./keyboard.js";
import { Pointer } from "./pointer.js";
import { Toolbar } from "./toolbar.js";

export class Controls {
  constructor(viewer) {
    this.viewer = viewer;
    this.card = null; // name of the open card
    this.ruler = null; // the selected one
    this.captions = new Map();
    addStylesheet();
    this.canvas = element("canvas", { class: "mv-canvas", tabindex: 0, "aria-label": "Mammograms" });
    this.overlay = element("div", { class: "mv-overlay" });
    this.message = element("div", { class: "mv-notice", role: "status", hidden: true });
    this.stage = element("div", { class: "mv-stage" }, this.canvas, this.overlay, this.message);
    this.toolbar = new Toolbar(viewer);
    this.banner = element("div", { class: "mv-banner" });
    this.title = element("div", { class: "mv-title" });
    this.readout = element("div", { class: "mv-readout" });
    this.legend = this.buildLegend();
    const status = element("div", { class: "mv-status" }, this.banner, this.title, this.readout, this.legend);
    viewer.root.classList.add("mammo-viewer");
    viewer.root.replaceChildren(this.toolbar.node, this.stage, status);
    this.pointer = new Pointer(viewer, this);
    this.keyboard = new Keyboard(viewer, this);
  }

  buildLegend() {
    const colours = element("canvas", { width: 256, height: 1 });
    colours.getContext("2d").putImageData(new ImageData(heatTable(), 256, 1), 0, 0);
    this.mark = element("i");
    this.legendTop = element("span");
    return element("div", { class: "mv-legend mv-ai", title:
      "Heatmap: how much each place raised the model's score (class activation), relative to the strongest place. " +
      "Not a probability of cancer and not an outline. The mark is the threshold below which nothing is drawn." },
    element("span", {}, "AI heat 0"), element("div", { class: "mv-colours" }, colours, this.mark), this.legendTop);
  }

  /** New panes: new captions. */
  rebuild() {
    const { viewer } = this;
    const handlers = {
      onRetry: (image) => viewer.loader.retry(image),
      onRemoveRuler: () => this.removeRuler(),
    };
    this.captions = new Map(viewer.panes.map((pane) => [pane, new Caption(viewer, pane, handlers)]));
    this.overlay.replaceChildren(...[...this.captions.values()].map((caption) => caption.node));
    this.refresh();
  }

  caption(pane) {
    this.captions.get(pane)?.update();
  }

  /** Everything outside the panes follows the state. */
  refresh() {
    const { viewer } = this;
    const { state, study } = viewer;
    viewer.root.classList.toggle("mv-blind", state.aiHidden);
    viewer.root.dataset.tool = state.tool;
    setText(this.banner, study.banner);
    setText(this.title, study.title);
    this.toolbar.refresh();
    this.legend.hidden = !state.heat || state.aiHidden || !study.images.some((image) => image.heat);
    setText(this.legendTop, state.perView ? "1 = view's peak" : "1 = exam's peak");
    this.mark.style.left = `${state.threshold * 100}%`;
    for (const caption of this.captions.values()) caption.update();
    if (this.card) this.showCard(this.card);
    if (study.images.length === 0) this.notice("No study is open.");
    else if (!viewer.lost) this.notice("");
  }

  notice(text) {
    setText(this.message, text);
    this.message.hidden = !text;
  }

  toggleCard(name) {
    this.showCard(this.card === name ? null : name);
    this.toolbar.refresh();
  }

  showCard(name) {
    this.card = name;
    this.cardNode?.remove();
    this.cardNode = null;
    const close = () => this.toggleCard(name);
    if (name === "help") this.cardNode = helpCard(close, this.viewer.state.aiHidden);
    if (name === "saw") this.cardNode = sawCard(close, this.viewer.activePane?.image);
    if (this.cardNode) this.stage.append(this.cardNode);
  }

  toggleFullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.viewer.root.requestFullscreen();
  }

  /** Value under the cursor, or nothing beside a picture. */
  showReadout(hit) {
    setText(this.readout, hit?.image ? this.readoutText(hit.pane.image, hit.image) : "");
  }

  readoutText(image, [x, y]) {
    if (x < 0 || y < 0 || x >= image.columns || y >= image.rows) return "";
    const [column, row] = [Math.floor(x), Math.floor(y)];
    const stored = this.viewer.readValue(image.id, column, row);
    const parts = [image.label, `x ${column}  y ${row}`];
    if (image.spacing) {
      parts.push(`${(x * image.spacing.column).toFixed(1)}, ${(y * image.spacing.row).toFixed(1)} mm`);
    }
    if (stored !== null) {
      const { padding, slope, intercept } = image;
      const same = slope === 1 && intercept === 0;
      parts.push(same ? `value ${stored}` : `stored ${stored}  value ${+(stored * slope + intercept).toFixed(2)}`);
      if (padding && stored >= padding[0] && stored <= padding[1]) parts.push("padding");
    }
    return parts.join("   ");
  }

  selectRuler(ruler) {
    this.ruler = ruler;
    for (const pane of this.viewer.panes) this.caption(pane);
  }

  removeRuler() {
    for (const [id, rulers] of this.viewer.rulers) {
      this.viewer.rulers.set(id, rulers.filter((ruler) => ruler !== this.ruler));
    }
    this.selectRuler(null);
  }

  destroy() {
    this.toolbar.destroy();
    this.keyboard.destroy();
    this.pointer.destroy();
  }
}

/** The style sheet beside this module, once per page. */
function addStylesheet() {
  const href = new URL("viewer.css", import.meta.url).href;
  const known = [...document.querySelectorAll("link[rel=stylesheet]")].some((link) => link.href === href);
  if (!known) document.head.append(element("link", { rel: "stylesheet", href }));
}
