// Toolbar icons: strokes in a 20 x 20 box.

import { svg } from "./dom.js";

const PATHS = {
  four: "M3 3h14v14H3z M10 3v14 M3 10h14",
  cc: "M3 5h14v10H3z M10 5v10",
  mlo: "M3 5h14v10H3z M10 5v10 M3 9l4-4 M17 9l-4-4",
  single: "M5 3h10v14H5z",
  prior: "M3 5h6v10H3z M11 5h6v10h-6z M13 10h2 M14 8.5v3",
  all:
    "M3 3h4v4H3z M8 3h4v4H8z M13 3h4v4h-4z M3 8h4v4H3z M8 8h4v4H8z M13 8h4v4h-4z " +
    "M3 13h4v4H3z M8 13h4v4H8z M13 13h4v4h-4z",
  window: "M10 3a7 7 0 1 0 0 14a7 7 0 1 0 0-14z M10 3v14 M10 6h4.5 M10 9h6.5 M10 12h6.5 M10 15h4",
  pan:
    "M10 2.5v15 M2.5 10h15 M7.8 4.7L10 2.5l2.2 2.2 " +
    "M7.8 15.3l2.2 2.2l2.2-2.2 M4.7 7.8L2.5 10l2.2 2.2 M15.3 7.8l2.2 2.2l-2.2 2.2",
  ruler: "M3 13.5L13.5 3L17 6.5L6.5 17z M6 11l1.7 1.7 M8.5 8.5l1.7 1.7 M11 6l1.7 1.7",
  invert: "M3 3h14v14H3z M3 17L17 3 M3.8 14v2 M3.8 11v5 M6 9v8 M8.5 8v9 M11 6v11 M13.5 4v13",
  fit: "M3 7V3h4 M13 3h4v4 M17 13v4h-4 M7 17H3v-4 M7 7h6v6H7z",
  actual: "M4.5 7L6.5 5.5V14.5 M13 7l2-1.5V14.5 M10 8v.6 M10 12v.6",
  magnifier: "M8.5 3a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11z M12.6 12.6L17 17 M6 8.5h5 M8.5 6v5",
  link: "M8.5 5H6a5 5 0 0 0 0 10h2.5 M11.5 5H14a5 5 0 0 1 0 10h-2.5 M7 10h6",
  heat: "M10 2.5c.5 3 4.5 4.5 4.5 9a4.5 4.5 0 0 1-9 0c0-2 1-3 1.8-3.8c.2 1.3.7 2 1.4 2.3c-.4-2.8.3-5.5 1.3-7.5z",
  sliders: "M3 6h8 M15 6h2 M13 4v4 M3 14h2 M9 14h8 M7 12v4",
  saw: "M1.8 10s3-5.5 8.2-5.5S18.2 10 18.2 10s-3 5.5-8.2 5.5S1.8 10 1.8 10z M10 7.6a2.4 2.4 0 1 0 0 4.8a2.4 2.4 0 1 0 0-4.8z",
  picture: "M10 3v9.5 M6.3 9L10 12.7L13.7 9 M3.5 13.5V17h13v-3.5",
  labels: "M3 5h14 M3 10h9 M3 15h12",
  help: "M10 2.5a7.5 7.5 0 1 0 0 15a7.5 7.5 0 1 0 0-15z M7.8 8a2.2 2.2 0 1 1 3.4 1.8c-.8.6-1.2 1-1.2 2 M10 14.1v.5",
  full: "M3 8V3h5 M12 3h5v5 M17 12v5h-5 M8 17H3v-5",
  reset: "M4 10a6 6 0 1 0 2-4.5 M6.2 2.5V5.7H9.4",
};

export function icon(name) {
  return svg("svg", { viewBox: "0 0 20 20", "aria-hidden": "true" }, svg("path", { d: PATHS[name] }));
}
