// What the reader can do: one table for the toolbar, the keyboard and the help card.
//
// A command: {name, key, title, run(viewer, event), icon?, pressed?(viewer), enabled?(viewer), ai?}. `key` as in
// KeyboardEvent.key; `ai` marks what is hidden in blind mode.

import { LAYOUTS } from "./layout.js";

const STEP = 0.1;
const clip = (value) => Math.round(Math.min(1, Math.max(0, value)) * 100) / 100;
const flip = (name) => (viewer) => viewer.set({ [name]: !viewer.state[name] });
const tool = (name) => (viewer) => viewer.set({ tool: viewer.state.tool === name ? "window" : name });

const layouts = LAYOUTS.map(({ name, key, title }) => ({
  name: `layout-${name}`, group: "Layout", icon: name, key, title,
  run: (viewer) => viewer.set({ layout: name }),
  pressed: (viewer) => viewer.state.layout === name,
  enabled: (viewer) => name !== "prior" || viewer.slots.some((slot) => slot.prior.length > 0),
}));

export const COMMANDS = [
  ...layouts,
  { name: "tool-window", group: "Mouse", icon: "window", key: "w", title: "Left drag: window / level",
    run: (viewer) => viewer.set({ tool: "window" }), pressed: (viewer) => viewer.state.tool === "window" },
  { name: "tool-pan", group: "Mouse", icon: "pan", key: "g", title: "Left drag: pan", run: tool("pan"),
    pressed: (viewer) => viewer.state.tool === "pan" },
  { name: "tool-ruler", group: "Mouse", icon: "ruler", key: "d", title: "Left drag: measure a distance",
    run: tool("ruler"), pressed: (viewer) => viewer.state.tool === "ruler" },
  { name: "magnifier", group: "Mouse", icon: "magnifier", key: "m", title: "Magnifier (hold M, or press the button)",
    run: flip("magnifier"), pressed: (viewer) => viewer.state.magnifier },
  { name: "glass", group: "Mouse", key: "M", title: "Magnifier 2x / 4x",
    run: (viewer) => viewer.set({ glass: viewer.state.glass === 2 ? 4 : 2 }) },
  { name: "invert", group: "Picture", icon: "invert", key: "i", title: "Invert", run: flip("invert"),
    pressed: (viewer) => viewer.state.invert },
  { name: "next-voi", group: "Picture", key: "v", title: "Next window of the file",
    run: (viewer) => viewer.nextVoi(1) },
  { name: "previous-voi", group: "Picture", key: "V", title: "Previous window of the file",
    run: (viewer) => viewer.nextVoi(-1) },
  { name: "fit", group: "Zoom", icon: "fit", key: "f", title: "Fit the breasts; again: the whole images",
    run: (viewer) => viewer.fit() },
  { name: "actual", group: "Zoom", icon: "actual", key: "o", title: "1:1, one image pixel per screen pixel",
    run: (viewer, point) => viewer.actualSize(point) },
  { name: "link", group: "Zoom", icon: "link", key: "l",
    title: "Zoom and pan all views together, left mirrored to right",
    run: flip("link"), pressed: (viewer) => viewer.state.link },
  { name: "zoom-in", group: "Zoom", key: "+", title: "Zoom in",
    run: (viewer, point) => zoomStep(viewer, point, 1.25) },
  { name: "zoom-out", group: "Zoom", key: "-", title: "Zoom out",
    run: (viewer, point) => zoomStep(viewer, point, 0.8) },
  { name: "reset", group: "Picture", icon: "reset", key: "r", title: "Reset windows, invert and zoom",
    run: (viewer) => viewer.reset() },
  { name: "next-image", group: "Layout", key: "n", title: "Next image of the same view",
    run: (viewer) => viewer.turnPage(1) },
  { name: "next-image-arrow", group: "Layout", key: "ArrowRight", title: "Next image of the same view",
    run: (viewer) => viewer.turnPage(1) },
  { name: "previous-image", group: "Layout", key: "ArrowLeft", title: "Previous image of the same view",
    run: (viewer) => viewer.turnPage(-1) },
  { name: "next-view", group: "Layout", key: "ArrowDown", title: "Next view (single, prior)",
    run: (viewer) => viewer.stepView(1) },
  { name: "previous-view", group: "Layout", key: "ArrowUp", title: "Previous view (single, prior)",
    run: (viewer) => viewer.stepView(-1) },
  { name: "heat", group: "AI", icon: "heat", key: "h", title: "Heatmap on / off", ai: true, run: flip("heat"),
    pressed: (viewer) => viewer.state.heat },
  { name: "heat-more", group: "AI", key: "]", title: "Heatmap more opaque", ai: true,
    run: (viewer) => viewer.set({ opacity: clip(viewer.state.opacity + STEP) }) },
  { name: "heat-less", group: "AI", key: "[", title: "Heatmap less opaque", ai: true,
    run: (viewer) => viewer.set({ opacity: clip(viewer.state.opacity - STEP) }) },
  { name: "heat-higher", group: "AI", key: ".", title: "Heatmap threshold up", ai: true,
    run: (viewer) => viewer.set({ threshold: clip(viewer.state.threshold + STEP) }) },
  { name: "heat-lower", group: "AI", key: ",", title: "Heatmap threshold down", ai: true,
    run: (viewer) => viewer.set({ threshold: clip(viewer.state.threshold - STEP) }) },
  { name: "per-view", group: "AI", key: "p", title: "Heatmap scaled per view / per exam", ai: true,
    run: flip("perView"),
    pressed: (viewer) => viewer.state.perView },
  { name: "delete-ruler", group: "Mouse", key: "Delete", title: "Remove the selected ruler",
    run: (viewer) => viewer.controls.removeRuler() },
  { name: "labels", group: "Screen", icon: "labels", key: "a", title: "Labels on / off", run: flip("annotations"),
    pressed: (viewer) => viewer.state.annotations },
  { name: "saw", group: "Screen", icon: "saw", key: "s", title: "What the model saw",
    run: (viewer) => viewer.controls.toggleCard("saw"), pressed: (viewer) => viewer.controls.card === "saw" },
  { name: "export", group: "Screen", icon: "picture", key: "e", title: "Export this picture as PNG",
    run: (viewer) => viewer.exportPicture(), enabled: (viewer) => viewer.study.images.length > 0 },
  { name: "full", group: "Screen", icon: "full", key: "u", title: "Full screen",
    run: (viewer) => viewer.controls.toggleFullScreen(), pressed: () => Boolean(document.fullscreenElement) },
  { name: "help", group: "Screen", icon: "help", key: "?", title: "Help and keyboard shortcuts",
    run: (viewer) => viewer.controls.toggleCard("help"), pressed: (viewer) => viewer.controls.card === "help" },
];

/** What the toolbar shows, in groups with a rule between them. */
export const TOOLBAR = [
  LAYOUTS.map(({ name }) => `layout-${name}`),
  ["tool-window", "tool-pan", "tool-ruler", "magnifier"],
  ["voi", "invert", "fit", "actual", "link", "reset"],
  ["heat", "heat-options"],
  ["labels", "saw", "export", "full", "help"],
];

export function commandNamed(name) {
  return COMMANDS.find((command) => command.name === name);
}

export function commandOfKey(key) {
  return COMMANDS.find((command) => command.key === key || (command.key === "+" && key === "="));
}

/** How a key is written on a button or in the help. */
export function keyName(key) {
  const names = { ArrowRight: "→", ArrowLeft: "←", ArrowDown: "↓", ArrowUp: "↑", Delete: "Del" };
  if (names[key]) return names[key];
  return key.length === 1 && key !== key.toLowerCase() ? `Shift ${key}` : key.toUpperCase();
}

function zoomStep(viewer, point, factor) {
  const pane = point?.pane?.image ? point.pane : viewer.activePane;
  if (!pane) return;
  const [x, y] = point?.pane === pane ? [point.x, point.y] : viewer.anchor(pane);
  viewer.zoom(pane, x, y, factor);
}
