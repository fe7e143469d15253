// Building DOM without markup: text only ever goes in as text.

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes, event listeners (`onclick: f`) and children (strings become text). */
export function element(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    const given = value !== null && value !== undefined && value !== false;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (given) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** Sets text only when it changed: labels are refreshed with every frame. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
