// VOI transforms (DICOM PS3.3 C.11.2.1) as one straight line before one curve, so that the shader needs no cases.
//
// A setting is {choice, level, gain}: one of the file's own choices and how far the user has dragged it, in widths of
// that choice and as a factor of its width. It holds for images whose own windows differ.

export function startSetting(choice) {
  return { choice, level: 0, gain: 1 };
}

/** A drag: `level` moves the centre by that part of the present width, `gain` multiplies the width. */
export function dragSetting(setting, level, gain) {
  const widest = 64;
  return {
    ...setting,
    level: setting.level + level * setting.gain,
    gain: Math.min(Math.max(setting.gain * gain, 1 / widest), widest),
  };
}

/** Centre and width, in modality units, that a setting means for an image; a LUT starts at its whole domain. */
export function toneOf(image, { choice, level, gain }) {
  const voi = image.vois[choice];
  const entries = voi.entries ?? 2 ** (voi.bits ?? 0);
  const start = voi.kind === "lut" ? { center: voi.first + entries / 2, width: entries } : voi;
  return { choice, center: start.center + level * start.width, width: start.width * gain };
}

/**
 * The curve and the line before it: argument = stored value * scale + offset.
 *   line     argument in [0, 1] is the grey level
 *   sigmoid  grey = 1 / (1 + exp(-argument))
 *   table    argument is the index into the LUT
 */
export function toneCurve(image, tone, tableEntries) {
  const voi = image.vois[tone.choice];
  const { center, width } = tone;
  // x = slope * stored + intercept; argument = x * a + b
  const fold = (a, b) => ({ scale: image.slope * a, offset: image.intercept * a + b });
  if (voi.kind === "lut") {
    const a = tableEntries / width;
    // Dragging stretches the table over another range; untouched, a = 1 and the index is x - first.
    return { curve: "table", ...fold(a, tableEntries / 2 - center * a), white: 2 ** voi.bits - 1 };
  }
  if (voi.function === "SIGMOID") {
    return { curve: "sigmoid", ...fold(4 / width, (-4 * center) / width) };
  }
  if (voi.function === "LINEAR_EXACT") {
    return { curve: "line", ...fold(1 / width, 0.5 - center / width) };
  }
  // LINEAR: ((x - (c - 0.5)) / (w - 1)) + 0.5; at w = 1 a step just above c - 0.5
  if (width <= 1) return { curve: "line", ...fold(1e6, -1e6 * (center - 0.5)) };
  return { curve: "line", ...fold(1 / (width - 1), 0.5 - (center - 0.5) / (width - 1)) };
}

/** Name of a choice for menus and captions. */
export function voiName(voi) {
  if (voi.kind === "lut") return voi.name || "VOI LUT";
  const shape = voi.function === "LINEAR" ? "" : ` ${voi.function.toLowerCase().replace("_", " ")}`;
  return `${voi.name || "Window"}${shape}`;
}
