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
// Views of CID 4014 that are taken in the plane of CC, or of MLO, and hang in its place.
const FAMILY = {
  CC: ["CC", "XCCL", "XCCM", "FB", "CV", "CCID", "RL", "RM"],
  MLO: ["MLO", "ML", "LM", "LMO", "SIO", "ISO", "AT", "AX"],
};

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
 * Panes of a layout, row by row: {columns, paired, panes: [{slot, time, row}]}, `time` "current" or "prior".
 * `active` is the key of the slot that single and prior layouts show; `time` is what single shows of it, if it can.
 */
export function makePanes(name, slots, active, time = "current") {
  const standard = (keys) => keys.map((key) => slots.find((slot) => slot.key === key));
  const now = (list, columns) => ({
    columns,
    paired: true,
    panes: list.map((slot, index) => ({ slot, time: "current", row: Math.floor(index / columns) })),
  });
  if (name === "four") return now(standard(STANDARD), 2);
  if (name === "cc") return now(standard(STANDARD.slice(0, 2)), 2);
  if (name === "mlo") return now(standard(STANDARD.slice(2)), 2);
  const shown = slots.find((slot) => slot.key === active) ?? slots[0];
  if (name === "single") {
    const other = time === "current" ? "prior" : "current";
    const best = shown[time].length > 0 || shown[other].length === 0 ? time : other;
    return { columns: 1, paired: false, panes: [{ slot: shown, time: best, row: 0 }] };
  }
  if (name === "prior") {
    const panes = ["current", "prior"].map((when) => ({ slot: shown, time: when, row: 0 }));
    return { columns: 2, paired: false, panes };
  }
  const every = slots.flatMap((slot) =>
    ["current", "prior"].flatMap((when) => slot[when].map((image) => ({ slot, time: when, image }))),
  );
  const columns = Math.max(1, Math.ceil(Math.sqrt(every.length)));
  return { columns, paired: false, panes: every.map((pane, index) => ({ ...pane, row: Math.floor(index / columns) })) };
}

/** Slots that a reader steps through with the arrow keys: those that have an image. */
export function filledSlots(slots) {
  return slots.filter((slot) => slot.current.length + slot.prior.length > 0);
}

/**
 * Rectangles of panes in a canvas, whole pixels. Rows are `gap` pixels apart; so are columns, except where the two
 * sides of a pair touch so that chest walls meet (`paired`).
 */
export function paneRects(width, height, { columns, panes, paired }, gap) {
  const rows = Math.max(1, Math.ceil(panes.length / columns));
  const between = paired ? 0 : gap;
  const column = (index) => Math.round((index * (width + between)) / columns);
  const row = (index) => Math.round((index * (height + gap)) / rows);
  return panes.map((_, index) => {
    const [i, j] = [index % columns, Math.floor(index / columns)];
    return {
      x: column(i),
      y: row(j),
      width: column(i + 1) - between - column(i),
      height: row(j + 1) - gap - row(j),
    };
  });
}
