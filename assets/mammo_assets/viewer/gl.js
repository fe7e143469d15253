// The WebGL 2 context: programs, textures and the three drawing steps. Knows nothing of studies, panes or mice.

import { heatTable } from "./colours.js";
import { LENS, PYRAMID, RESAMPLE, TONE, VERTEX } from "./shaders.js";

const NO_PADDING = [1, 0]; // an empty range
const CURVES = { line: 0, sigmoid: 1, table: 2 };
const UNITS = { fine: 0, coarse: 1, below: 0, resampled: 0, table: 2, heat: 3, heatColours: 4 };

export class WebglMissing extends Error {}

export class Screen {
  /** Throws WebglMissing, in words for the reader, where the browser has no WebGL 2. */
  constructor(canvas, { maxTexture = Infinity } = {}) {
    this.canvas = canvas;
    const gl = canvas.getContext("webgl2", {
      alpha: false,
      antialias: false,
      depth: false,
      stencil: false,
      preserveDrawingBuffer: true, // panes that did not change are not drawn again
      powerPreference: "high-performance",
    });
    if (!gl) {
      throw new WebglMissing(
        "This browser cannot draw 16-bit pictures: WebGL 2 is switched off or missing. " +
          "Use a current Chrome, Edge, Firefox or Safari with hardware or software WebGL enabled.",
      );
    }
    this.gl = gl;
    this.limit = maxTexture;
    this.restore();
  }

  /** Builds everything that a lost context takes away. */
  restore() {
    const { gl } = this;
    this.maxTexture = Math.min(this.limit, gl.getParameter(gl.MAX_TEXTURE_SIZE));
    this.programs = {};
    for (const [name, source] of Object.entries({ PYRAMID, RESAMPLE, TONE, LENS })) {
      this.programs[name] = buildProgram(gl, source);
    }
    gl.bindVertexArray(gl.createVertexArray());
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    this.frame = gl.createFramebuffer();
    this.resampled = null;
    this.colours = this.texture(gl.RGBA8, 256, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(heatTable()));
    this.emptyTable = this.texture(gl.R16UI, 1, 1, gl.RED_INTEGER, gl.UNSIGNED_SHORT, new Uint16Array(1));
    this.emptyHeat = this.texture(gl.R8, 1, 1, gl.RED, gl.UNSIGNED_BYTE, new Uint8Array(1));
  }

  texture(format, width, height, layout, type, data, filter = this.gl.NEAREST) {
    const { gl } = this;
    const made = gl.createTexture();
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, made);
    gl.texStorage2D(gl.TEXTURE_2D, 1, format, width, height);
    if (data) gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, width, height, layout, type, data);
    const set = (which, value) => gl.texParameteri(gl.TEXTURE_2D, which, value);
    for (const which of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) set(which, filter);
    for (const which of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) set(which, gl.CLAMP_TO_EDGE);
    return made;
  }

  /**
   * The pyramid of one image: level k holds rounded means of 2^k x 2^k pixels, the last column and row of what is left.
   * `data` uint16 (rows, columns); `padding` inclusive range of stored values, or null. Needs size <= maxTexture.
   */
  upload(data, columns, rows, padding) {
    const { gl } = this;
    const range = padding ?? NO_PADDING;
    const levels = [{ columns, rows }];
    levels[0].texture = this.texture(gl.R16UI, columns, rows, gl.RED_INTEGER, gl.UNSIGNED_SHORT, data);
    const { program, at } = this.programs.PYRAMID;
    gl.useProgram(program);
    gl.disable(gl.SCISSOR_TEST);
    gl.uniform1i(at.below, UNITS.below);
    gl.uniform2ui(at.padding, range[0], range[1]);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.frame);
    while (Math.max(levels.at(-1).columns, levels.at(-1).rows) > 64) {
      const below = levels.at(-1);
      const level = { columns: (below.columns + 1) >> 1, rows: (below.rows + 1) >> 1 };
      level.texture = this.texture(gl.R16UI, level.columns, level.rows);
      gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, level.texture, 0);
      gl.viewport(0, 0, level.columns, level.rows);
      this.bind("below", below.texture);
      gl.drawArrays(gl.TRIANGLES, 0, 3);
      levels.push(level);
    }
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    const bytes = levels.reduce((sum, level) => sum + level.columns * level.rows * 2, 0);
    return { levels, columns, rows, padding: range, bytes };
  }

  uploadHeat(data, columns, rows) {
    const { gl } = this;
    return this.texture(gl.R8, columns, rows, gl.RED, gl.UNSIGNED_BYTE, data, gl.LINEAR);
  }

  /** A VOI LUT of up to 65,536 entries, 256 to a row. */
  uploadTable(entries) {
    const { gl } = this;
    const rows = Math.ceil(entries.length / 256);
    const padded = new Uint16Array(rows * 256);
    padded.set(entries);
    return this.texture(gl.R16UI, 256, rows, gl.RED_INTEGER, gl.UNSIGNED_SHORT, padded);
  }

  free(...textures) {
    for (const texture of textures) this.gl.deleteTexture(texture);
  }

  bind(name, texture) {
    const { gl } = this;
    gl.activeTexture(gl.TEXTURE0 + UNITS[name]);
    gl.bindTexture(gl.TEXTURE_2D, texture);
  }

  /** Fits the intermediate texture to the canvas; true when it was made anew and every pane must be resampled. */
  fitCanvas() {
    const { gl, canvas } = this;
    if (this.resampled?.width === canvas.width && this.resampled?.height === canvas.height) return false;
    if (this.resampled) this.free(this.resampled.texture);
    const texture = this.texture(gl.R32UI, canvas.width, canvas.height);
    this.resampled = { texture, width: canvas.width, height: canvas.height };
    return true;
  }

  clear(rect) {
    const { gl } = this;
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    this.clip(rect);
    gl.clearColor(0, 0, 0, 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
  }

  clip({ x, y, width, height }) {
    const { gl, canvas } = this;
    gl.viewport(x, canvas.height - y - height, width, height);
    gl.enable(gl.SCISSOR_TEST);
    gl.scissor(x, canvas.height - y - height, width, height);
  }

  /**
   * Resamples an image into its pane. `image` is what `upload` gave, plus its full-resolution `columns` and `rows` and
   * `shrunk`, the file's pixels per pixel of level 0 (1 unless the picture was too big for a texture).
   * `place` = {origin: [x, y], zoom: [x, y]} in canvas pixels.
   */
  resample(rect, image, place) {
    const { gl } = this;
    const { program, at } = this.programs.RESAMPLE;
    gl.useProgram(program);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.frame);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, this.resampled.texture, 0);
    this.clip(rect);
    this.placeUniforms(at, image, place);
    this.samplingUniforms(at, image, place);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
  }

  /** Puts resampled values on screen. `look` = {curve, scale, offset, white, table, inverted, heat}. */
  tone(rect, image, place, look) {
    const { gl } = this;
    const { program, at } = this.programs.TONE;
    gl.useProgram(program);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    this.clip(rect);
    gl.uniform1i(at.resampled, UNITS.resampled);
    this.bind("resampled", this.resampled.texture);
    this.placeUniforms(at, image, place);
    this.toneUniforms(at, look);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  /** The magnifier: the image once more inside a circle. `glass` = {x, y, radius} in canvas pixels. */
  lens(rect, image, place, look, glass) {
    const { gl } = this;
    const { program, at } = this.programs.LENS;
    gl.useProgram(program);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    this.clip(rect);
    this.placeUniforms(at, image, place);
    this.samplingUniforms(at, image, place);
    this.toneUniforms(at, look);
    gl.uniform3f(at.glass, glass.x, glass.y, glass.radius);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  placeUniforms(at, image, { origin, zoom }) {
    const { gl } = this;
    gl.uniform2f(at.size, image.columns, image.rows);
    gl.uniform2f(at.origin, origin[0], origin[1]);
    gl.uniform2f(at.zoom, zoom[0], zoom[1]);
    gl.uniform1f(at.canvasHeight, this.canvas.height);
  }

  samplingUniforms(at, { levels, padding, shrunk: step }, { zoom }) {
    const { gl } = this;
    const wanted = Math.log2(Math.max(1, 1 / (Math.min(zoom[0], zoom[1]) * step)));
    const low = Math.min(Math.floor(wanted), levels.length - 1);
    const high = Math.min(low + 1, levels.length - 1);
    gl.uniform1i(at.fine, UNITS.fine);
    gl.uniform1i(at.coarse, UNITS.coarse);
    this.bind("fine", levels[low].texture);
    this.bind("coarse", levels[high].texture);
    gl.uniform2f(at.fineScale, step * 2 ** low, step * 2 ** low);
    gl.uniform2f(at.coarseScale, step * 2 ** high, step * 2 ** high);
    gl.uniform1f(at.blend, high > low ? wanted - low : 0);
    gl.uniform2ui(at.padding, padding[0], padding[1]);
  }

  toneUniforms(at, look) {
    const { gl } = this;
    gl.uniform1i(at.curve, CURVES[look.curve]);
    gl.uniform2f(at.transform, look.scale, look.offset);
    gl.uniform1i(at.table, UNITS.table);
    this.bind("table", look.table?.texture ?? this.emptyTable);
    gl.uniform1f(at.tableLast, (look.table?.entries ?? 1) - 1);
    gl.uniform1f(at.tableWhite, look.white ?? 1);
    gl.uniform1i(at.inverted, look.inverted ? 1 : 0);
    gl.uniform1i(at.heatShown, look.heat ? 1 : 0);
    gl.uniform1i(at.heat, UNITS.heat);
    gl.uniform1i(at.heatColours, UNITS.heatColours);
    this.bind("heat", look.heat?.texture ?? this.emptyHeat);
    this.bind("heatColours", this.colours);
    if (look.heat) gl.uniform3f(at.heatLook, look.heat.opacity, look.heat.threshold, look.heat.gain);
  }

  /** RGBA at a canvas pixel, counted from the top left, as it is shown. */
  readDisplay(x, y) {
    const { gl, canvas } = this;
    const rgba = new Uint8Array(4);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.readPixels(x, canvas.height - 1 - y, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, rgba);
    return [...rgba];
  }

  /** Stored value at a pixel of a pyramid level. */
  readValue(image, x, y, level = 0) {
    const { gl } = this;
    const value = new Uint32Array(4);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.frame);
    const { texture } = image.levels[level];
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0);
    gl.readPixels(x, y, 1, 1, gl.RGBA_INTEGER, gl.UNSIGNED_INT, value);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    return value[0];
  }
}

function buildProgram(gl, fragment) {
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
    const logs = gl.getAttachedShaders(program).map((shader) => gl.getShaderInfoLog(shader));
    throw new Error(`shader: ${gl.getProgramInfoLog(program)} ${logs.join(" ")}`);
  }
  const at = {};
  const count = gl.getProgramParameter(program, gl.ACTIVE_UNIFORMS) ?? 0;
  for (let index = 0; index < count; index++) {
    const { name } = gl.getActiveUniform(program, index);
    at[name] = gl.getUniformLocation(program, name);
  }
  return { program, at };
}
