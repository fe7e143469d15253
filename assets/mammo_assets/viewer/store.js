// Pixels on their way from the server to textures: fetching with progress, aborting, and a cache with a byte budget.
//
// The key is the URL: the server gives another URL where other pixels are meant (a corrected hanging, another method).

export class LoadError extends Error {}

export class PixelStore {
  /** `budget` in bytes of texture memory; what is on screen is never evicted. */
  constructor(screen, { budget = 768 * 2 ** 20 } = {}) {
    this.screen = screen;
    this.budget = budget;
    this.entries = new Map(); // url -> {promise, value, bytes, controller, progress}; oldest use first
  }

  /** The texture of an image if it is there, marking it as used. */
  ready(url) {
    const entry = this.entries.get(url);
    if (!entry?.value) return null;
    this.entries.delete(url);
    this.entries.set(url, entry);
    return entry.value;
  }

  get bytes() {
    let total = 0;
    for (const { value } of this.entries.values()) total += value?.bytes ?? 0;
    return total;
  }

  get full() {
    return this.bytes > this.budget;
  }

  /** Part of an image received, 0 to 1. */
  progress(url) {
    return this.entries.get(url)?.progress ?? 0;
  }

  /** Image pyramid of `image` = {url, columns, rows, padding}. `onProgress` is called as bytes arrive. */
  image(image, onProgress) {
    const bytes = image.columns * image.rows * 2;
    return this.fetchOnce(image.url, bytes, onProgress, (buffer) => {
      const size = { columns: image.columns, rows: image.rows };
      const fitted = shrinkToFit(new Uint16Array(buffer), size, this.screen.maxTexture, image.padding);
      const made = this.screen.upload(fitted.data, fitted.columns, fitted.rows, image.padding);
      return { ...made, ...size, shrunk: fitted.step, textures: made.levels.map((level) => level.texture) };
    });
  }

  heat({ url, columns, rows }) {
    return this.fetchOnce(url, columns * rows, null, (buffer) => {
      const texture = this.screen.uploadHeat(new Uint8Array(buffer), columns, rows);
      return { texture, textures: [texture], bytes: buffer.byteLength };
    });
  }

  table({ url }) {
    return this.fetchOnce(url, null, null, (buffer) => {
      if (buffer.byteLength < 2 || buffer.byteLength > 2 ** 17 || buffer.byteLength % 2) {
        throw new LoadError(`a VOI LUT has 1 to 65,536 entries of 2 bytes, not ${buffer.byteLength} bytes`);
      }
      const texture = this.screen.uploadTable(new Uint16Array(buffer));
      return { texture, textures: [texture], entries: buffer.byteLength / 2, bytes: buffer.byteLength };
    });
  }

  fetchOnce(url, expected, onProgress, make) {
    const known = this.entries.get(url);
    if (known) {
      if (onProgress) known.listeners.push(onProgress);
      return known.promise;
    }
    const controller = new AbortController();
    const entry = { controller, progress: 0, value: null, listeners: onProgress ? [onProgress] : [] };
    const report = (part) => {
      entry.progress = part;
      for (const listener of entry.listeners) listener(part);
    };
    entry.promise = receive(url, expected, controller.signal, report).then(
      (buffer) => {
        controller.signal.throwIfAborted();
        entry.value = make(buffer);
        entry.listeners = [];
        return entry.value;
      },
    );
    entry.promise.catch(() => this.entries.get(url) === entry && this.entries.delete(url));
    this.entries.set(url, entry);
    return entry.promise;
  }

  /** Stops every load that the new study does not want, and evicts the longest unused beyond the budget. */
  keepOnly(urls) {
    const wanted = new Set(urls);
    for (const [url, entry] of this.entries) {
      if (entry.value || wanted.has(url)) continue;
      this.entries.delete(url);
      entry.controller.abort();
    }
    let total = this.bytes;
    for (const [url, { value }] of this.entries) {
      if (total <= this.budget) break;
      if (!value || wanted.has(url)) continue;
      this.screen.free(...value.textures);
      this.entries.delete(url);
      total -= value.bytes;
    }
  }

  /** Forgets everything: after a lost context (the textures are gone) or at the end. */
  clear() {
    for (const entry of this.entries.values()) entry.controller.abort();
    this.entries.clear();
  }
}

/** The bytes at a URL. Throws LoadError in words, or the AbortError of `signal`. */
async function receive(url, expected, signal, report) {
  let response;
  try {
    response = await fetch(url, { signal, credentials: "same-origin" });
  } catch (error) {
    signal.throwIfAborted();
    throw new LoadError(`the server cannot be reached (${error.message})`);
  }
  if (!response.ok) throw new LoadError(await refusal(response));
  if (expected === null) return response.arrayBuffer();
  const bytes = new Uint8Array(expected);
  const reader = response.body.getReader();
  let got = 0;
  for (;;) {
    const { done, value } = await readChunk(reader, signal);
    if (done) break;
    if (got + value.length > expected) {
      await reader.cancel();
      throw new LoadError(`more than the expected ${expected.toLocaleString("en")} bytes arrived`);
    }
    bytes.set(value, got);
    got += value.length;
    report(got / expected);
  }
  if (got !== expected) {
    const [found, wanted] = [got, expected].map((count) => count.toLocaleString("en"));
    throw new LoadError(`${found} bytes arrived, ${wanted} were expected`);
  }
  return bytes.buffer;
}

/** Why the server gave no bytes: the app's own sentence where it has one (422), else the status. */
async function refusal(response) {
  const worded = response.status === 422 && response.headers.get("content-type")?.startsWith("text/plain");
  const sentence = worded ? (await response.text()).trim() : "";
  return sentence || `the server answered ${response.status} ${response.statusText}`.trim();
}

async function readChunk(reader, signal) {
  try {
    return await reader.read();
  } catch (error) {
    signal.throwIfAborted();
    throw new LoadError(`the connection broke off (${error.message})`);
  }
}

/** Means over the smallest block that brings both sides within `limit`; padding takes no part, as in the pyramid. */
function shrinkToFit(data, { columns, rows }, limit, padding) {
  const step = Math.ceil(Math.max(columns, rows) / limit);
  if (step === 1) return { data, columns, rows, step };
  const [low, high] = padding ?? [1, 0];
  const width = Math.ceil(columns / step);
  const height = Math.ceil(rows / step);
  const small = new Uint16Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let sum = 0, count = 0;
      for (let row = y * step; row < Math.min(rows, (y + 1) * step); row++) {
        for (let column = x * step; column < Math.min(columns, (x + 1) * step); column++) {
          const value = data[row * columns + column];
          if (value < low || value > high) { sum += value; count++; }
        }
      }
      small[y * width + x] = count ? Math.round(sum / count) : low;
    }
  }
  return { data: small, columns: width, rows: height, step };
}
