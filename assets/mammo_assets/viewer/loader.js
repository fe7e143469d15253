// A study's images on their way to the screen: what to fetch first, what to stop, and what to say when it fails.

import { LoadError } from "./store.js";

export class Loader {
  constructor(viewer) {
    this.viewer = viewer;
    this.errors = new Map(); // image id -> sentence for its pane
    this.heatErrors = new Map();
  }

  /** A new study: loads that it does not need stop. */
  begin(images) {
    this.errors.clear();
    this.heatErrors.clear();
    this.viewer.store.keepOnly(images.flatMap((image) => this.urls(image)));
  }

  urls(image) {
    const heat = image.heat && !this.viewer.state.aiHidden ? [image.heat.url] : [];
    return [image.url, ...tables(image).map((voi) => voi.url), ...heat];
  }

  /** Loads images side by side; resolves to whether every one was there already. */
  async loadAll(images) {
    const cached = images.every((image) => this.viewer.store.ready(image.url));
    await Promise.all(images.map((image) => this.load(image)));
    return cached;
  }

  /** Images behind those on screen (more of a view, priors, other layouts), one at a time, while there is room. */
  async prefetch(images) {
    const { turn, store } = this.viewer;
    for (const image of images) {
      if (turn !== this.viewer.turn || store.full) return;
      if (this.errors.has(image.id)) continue;
      await this.load(image);
    }
  }

  /** Loads one image with its tables and heatmap. Never throws: what went wrong is shown in its pane. */
  async load(image) {
    const { viewer } = this;
    const { turn, store } = viewer;
    const fresh = this.urls(image).some((url) => !store.ready(url));
    const current = () => turn === viewer.turn;
    const progress = () => current() && viewer.painter.invalidate(image, false);
    try {
      await Promise.all([
        store.image(image, progress),
        this.loadHeat(image),
        ...tables(image).map(async (voi) => { voi.entries = (await store.table(voi)).entries; }),
      ]);
    } catch (error) {
      if (error.name === "AbortError" || !current()) return;
      if (!(error instanceof LoadError)) console.error(error);
      const message = `${image.label} could not be loaded: ${error.message}`;
      this.errors.set(image.id, message);
      viewer.emit("failed", { nonce: viewer.study.nonce, image: image.label, message });
    }
    if (fresh && current()) viewer.painter.invalidate(image, true);
  }

  /** A picture is worth showing without its heatmap: then the pane says so. */
  async loadHeat(image) {
    if (!image.heat || this.viewer.state.aiHidden) return;
    try {
      await this.viewer.store.heat(image.heat);
    } catch (error) {
      if (!(error instanceof LoadError)) throw error;
      this.heatErrors.set(image.id, `heatmap not loaded: ${error.message}`);
    }
  }

  async retry(image) {
    this.errors.delete(image.id);
    this.viewer.painter.invalidate(image, true);
    await this.load(image);
  }
}

function tables(image) {
  return image.vois.filter((voi) => voi.kind === "lut");
}
