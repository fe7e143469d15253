// Cards over the picture: keyboard help, and what the model saw of the active view.

import { COMMANDS, keyName } from "./commands.js";
import { element } from "./dom.js";

const MOUSE = [
  ["Left drag", "Window / level: sideways width, up and down level"],
  ["Alt + left drag", "Window / level of this picture alone"],
  ["Right or middle drag", "Pan (also Shift or Space + drag)"],
  ["Wheel, pinch", "Zoom at the cursor"],
  ["Double click", "This view alone, and back"],
];

export function helpCard(close, aiHidden) {
  const groups = Map.groupBy
    ? Map.groupBy(COMMANDS, (command) => command.group)
    : COMMANDS.reduce((map, one) => map.set(one.group, [...(map.get(one.group) ?? []), one]), new Map());
  const sections = [...groups].filter(([name]) => !(aiHidden && name === "AI")).map(([name, commands]) =>
    section(name, merged(commands).map(({ keys, title }) => [keys, title])));
  return card("Mouse and keyboard", close, "mv-wide", section("With the mouse", MOUSE), ...sections);
}

/** What the model saw: the decisions taken on the active view, one per line. */
export function sawCard(close, image) {
  if (!image) return card("What the model saw", close, "", element("p", {}, "No picture is shown."));
  const rows = image.facts.map(([name, value]) => [String(name), String(value)]);
  return card(`What the model saw: ${image.label}`, close, "",
    rows.length ? section("", rows) : element("p", {}, "Nothing is recorded of this picture."));
}

/** Commands that share a title share a line. */
function merged(commands) {
  const lines = new Map();
  for (const { title, key } of commands) lines.set(title, [...(lines.get(title) ?? []), keyName(key)]);
  return [...lines].map(([title, keys]) => ({ title, keys: keys.join("  ") }));
}

function section(name, rows) {
  return element("section", {}, name ? element("h3", {}, name) : null,
    element("dl", {}, ...rows.flatMap(([term, text]) => [element("dt", {}, term), element("dd", {}, text)])));
}

function card(title, close, shape, ...content) {
  return element("div", { class: `mv-card ${shape}`, role: "dialog", "aria-label": title },
    element("header", {}, element("h2", {}, title),
      element("button", { type: "button", class: "mv-button", "aria-label": "Close", title: "Close  [Esc]",
        onclick: close }, "×")),
    element("div", { class: "mv-card-body" }, ...content));
}
