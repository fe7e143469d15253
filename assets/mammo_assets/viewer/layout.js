// Hanging protocols: which images share a pane, which panes a layout has, and where they lie. No pixels, no DOM.

/** Layouts in toolbar order: the key that selects them, and what the button says. */
export const LAYOUTS = [
  { name: "four", key: "1", title: "Four views: CC over MLO, right | left" },
  { name: "cc", key: "2", title: "CC pair" },
  { name: "mlo", key: "3", title: "MLO pair" },
  { name: "single", key: "4", title: "Single view" },
  { name: "prior", key: "5", title: "Current | prior" },
  { name: "all", key: "6", title: "Every image" },
];

const STANDARD = ["RCC", "LCC", "RMLO", "LMLO"];
// Views (CID 4014 and AT) that hang in the place of CC, or of MLO. SIO, ISO and specimens hang by themselves.
export const FAMILY = {
  CC: ["CC", "XCCL", "XCCM", "XCC", "FB"],
  MLO: ["MLO", "ML", "LM", "LMO", "AT"],
};

/** Which way is up in a hung picture: "H" (the head), or the side in views of the CC family; "" where unknown. */
export function upward({ laterality, view }) {
  if (laterality !== "L" && laterality !== "R") return "";
  if (["CC", "XCCL", "XCCM"].includes(view)) return laterality; // lateral is up
  return ["MLO", "ML", "LM", "LMO"].includes(view) ? "H" : "";
}

/**
 * Images of a study in slots: one per standard view (even if empty), then one per label that fits none.
 * Slot = {key, laterality, view, current: [image], prior: [image]}; exact views come before their relatives.
 */
export function makeSlots(images) {
  const slots = new Map(
    STANDARD.map((key) => [key, { key, laterality: key[0], view: key.slice(1), current: [], prior: [] }]),
  );
  for (const image of images) {
    const family = Object.keys(FAMILY).find((name) => FAMILY[name].includes(image.view));
    const known = (image.laterality === "L" || image.laterality === "R") && family;
    const key = known ? image.laterality + family : image.label;
    if (!slots.has(key)) {
      slots.set(key, { key, laterality: image.laterality, view: image.view, current: [], prior: [] });
    }
    slots.get(key)[image.prior ? "prior" : "current"].push(image);
  }
  for (const slot of slots.values()) {
    const exact = (image) => (image.view === slot.view ? 0 : 1);
    slot.current.sort((a, b) => exact(a) - exact(b));
    slot.prior.sort((a, b) => b.date.localeCompare(a.date) || exact(a) - exact(b));
  }
  return [...slots.values()];
}

/** The layout a study opens in. */
export function openingLayout(slots) {
  const filled = slots.filter((slot) => slot.current.length > 0);
  if (filled.length === 0) return slots.some((slot) => slot.prior.length > 0) ? "all" : "four";
  if (filled.some((slot) => !STANDARD.includes(slot.key))) return "all";
  if (filled.length === 1) return filled[0].prior.length > 0 ? "prior" : "single";
  const rows = new Set(filled.map((slot) => slot.view));
  if (rows.size === 1) return rows.has("CC") ? "cc" : "mlo";
  return "four";
}

/**
 * Panes of a layout: {columns, rows, paired, panes: [{slot, time, row, column}]}, `time` "current" or "prior"; a cell
 * without a pane stays empty. `paired`: columns 0 and 1, 2 and 3... are the two sides of a patient. `active` is the key
 * of the slot that single and prior layouts show; `time` is what single shows of it, if it can.
 */
export function makePanes(name, slots, active, time = "current") {
  const standard = (keys) => keys.map((key) => slots.find((slot) => slot.key === key));
  const now = (keys) => grid(standard(keys).map((slot) => ({ slot, time: "current" })), 2, true);
  if (name === "four") return now(STANDARD);
  if (name === "cc") return now(STANDARD.slice(0, 2));
  if (name === "mlo") return now(STANDARD.slice(2));
  const shown = slots.find((slot) => slot.key === active) ?? slots[0];
  if (name === "single") {
    const other = time === "current" ? "prior" : "current";
    const best = shown[time].length > 0 || shown[other].length === 0 ? time : other;
    return grid([{ slot: shown, time: best }], 1, false);
  }
  if (name === "prior") return grid(["current", "prior"].map((when) => ({ slot: shown, time: when })), 2, false);
  return everyImage(slots);
}

/** Panes (null for an empty cell) row by row. */
function grid(cells, columns, paired) {
  const placed = cells.map((cell, index) =>
    cell && { ...cell, row: Math.floor(index / columns), column: index % columns });
  return { columns, rows: Math.max(1, Math.ceil(cells.length / columns)), paired, panes: placed.filter(Boolean) };
}

/** Every image in pairs, right breasts in the left column of a pair and left ones in the right, one view to a pair. */
function everyImage(slots) {
  const every = slots.flatMap((slot) =>
    ["current", "prior"].flatMap((time) => slot[time].map((image) => ({ slot, time, image }))));
  const of = (side, list) => list.filter(({ image }) => image.laterality === side);
  if (of("R", every).length === 0 || of("L", every).length === 0) {
    return grid(every, Math.max(1, Math.ceil(Math.sqrt(every.length))), false);
  }
  const kind = ({ slot, time }) => `${slot.view} ${time}`;
  const pairs = [...new Set(every.map(kind))].flatMap((wanted) => {
    const images = every.filter((one) => kind(one) === wanted);
    return zip(of("R", images), of("L", images));
  });
  const others = every.filter(({ image }) => image.laterality !== "R" && image.laterality !== "L");
  pairs.push(...zip(others.filter((_, index) => index % 2 === 0), others.filter((_, index) => index % 2 === 1)));
  return grid(pairs.flat(), 2 * Math.ceil(Math.sqrt(pairs.length / 2)), true);
}

function zip(first, second) {
  const length = Math.max(first.length, second.length);
  return Array.from({ length }, (_, at) => [first[at] ?? null, second[at] ?? null]);
}

/** Slots that a reader steps through with the arrow keys: those that have an image. */
export function filledSlots(slots) {
  return slots.filter((slot) => slot.current.length + slot.prior.length > 0);
}

/**
 * Rectangles of panes in a canvas, whole pixels. Rows, of heights in proportion to `shares`, are `gap` pixels apart; so
 * are columns, except where the two sides of a pair touch so that chest walls meet.
 */
export function paneRects(width, height, { columns, panes, paired }, gap, shares) {
  const touching = paired ? 2 : 1;
  const groups = columns / touching;
  const edges = (column) => {
    const group = Math.floor(column / touching);
    const [start, end] = [group, group + 1].map((at) => Math.round((at * (width + gap)) / groups));
    const part = (index) => start + Math.round((index * (end - gap - start)) / touching);
    return [part(column % touching), part((column % touching) + 1)];
  };
  const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
  const top = (row) => Math.round((sum(shares.slice(0, row)) / sum(shares)) * (height + gap));
  return panes.map(({ row, column }) => {
    const [left, right] = edges(column);
    return { x: left, y: top(row), width: right - left, height: top(row + 1) - gap - top(row) };
  });
}
