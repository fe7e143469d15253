// A PNG of what is on screen: pictures, labels, rulers, the heatmap's legend and the banner, burnt in. No patient
// identity goes into it.

import { heatColour } from "./colours.js";
import { rulerEnds, rulerText, wordsPlace } from "./rulers.js";

const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";

/** {name, width, height, blob}; saved through the browser's download when asked. */
export async function exportPicture(viewer, { download }) {
  viewer.painter.magnify(null);
  viewer.painter.paint();
  const { canvas: source } = viewer;
  const size = viewer.unit * viewer.pixelRatio; // everything below is in units (unit.js), as on screen
  const bar = Math.round(30 * size);
  const canvas = document.createElement("canvas");
  canvas.width = source.width;
  canvas.height = source.height + bar;
  const pen = canvas.getContext("2d");
  pen.drawImage(source, 0, 0);
  pen.scale(size, size);
  for (const pane of viewer.panes) if (pane.image) drawPane(pen, viewer, pane, size);
  drawBanner(pen, viewer, canvas.width / size, source.height / size, bar / size);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  const name = `mammogram-${viewer.state.layout}.png`;
  if (download) save(blob, name);
  return { name, width: canvas.width, height: canvas.height, blob };
}

function write(pen, text, x, y, size, { align = "left", weight = 400, colour = "#e8edf2" } = {}) {
  pen.font = `${weight} ${size}px ${FONT}`;
  pen.textAlign = align;
  pen.lineJoin = "round";
  pen.lineWidth = 3;
  pen.strokeStyle = "rgba(0, 0, 0, 0.85)";
  pen.strokeText(text, x, y);
  pen.fillStyle = colour;
  pen.fillText(text, x, y);
}

function drawPane(pen, viewer, pane, size) {
  const { image, time } = pane;
  const [left, top] = [pane.rect.x / size, pane.rect.y / size];
  const outerRight = image.chestWall === "left";
  const x = outerRight ? left + pane.rect.width / size - 10 : left + 10;
  const align = outerRight ? "right" : "left";
  write(pen, time === "prior" ? `${image.label} prior` : image.label, x, top + 22, 16, { align, weight: 600 });
  if (image.score !== null && !viewer.state.aiHidden) {
    write(pen, `AI ${image.score}`, x, top + 41, 12, { align, colour: "#b9c6d2" });
  }
  for (const ruler of viewer.state.annotations ? (viewer.rulers.get(image.id) ?? []) : []) {
    const ends = rulerEnds(pane, ruler, size);
    pen.beginPath();
    for (const [a, b] of ends) pen.lineTo(a + left, b + top);
    pen.strokeStyle = "#6fd3ff";
    pen.lineWidth = 1.5;
    pen.stroke();
    const { length, source } = rulerText(image, ruler);
    const place = wordsPlace(ends, pane.rect.width / size, pane.rect.height / size);
    const [at, align] = [[place.x + left, place.y + top], place.right ? "left" : "right"];
    write(pen, length, ...at, 12, { align, weight: 600, colour: "#6fd3ff" });
    write(pen, source, at[0], at[1] + 13, 10, { align, colour: "#9fd9f2" });
  }
}

function drawBanner(pen, viewer, width, top, height) {
  pen.fillStyle = "#2b2110";
  pen.fillRect(0, top, width, height);
  write(pen, viewer.study.banner, 12, top + height / 2 + 5, 13, { weight: 600, colour: "#ffcf70" });
  const { state, study } = viewer;
  if (state.aiHidden || !study.model) return;
  let right = width - 12;
  if (state.heat && study.images.some((image) => image.heat)) {
    const text = state.perView ? "1 = view's peak" : "1 = exam's peak";
    write(pen, text, right, top + height / 2 + 4, 10, { align: "right" });
    right -= pen.measureText(text).width + 8 + 100;
    for (let step = 0; step < 100; step++) {
      pen.fillStyle = `rgb(${heatColour(step / 99).join(" ")})`;
      pen.fillRect(right + step, top + height / 2 - 5, 1.5, 10);
    }
    write(pen, "AI heat 0", right - 6, top + height / 2 + 4, 10, { align: "right" });
    right -= 70;
  }
  const model = `${study.model.name} ${study.model.version}`;
  write(pen, model, right, top + height / 2 + 4, 11, { align: "right", colour: "#b9c6d2" });
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
