// A PNG of what is on screen: pictures, labels, rulers, the heatmap's legend and the banner, burnt in. No patient
// identity goes into it.

import { heatColour } from "./colours.js";
import { rulerEnds, rulerText } from "./rulers.js";

const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";

/** {name, width, height, blob}; saved through the browser's download when asked. */
export async function exportPicture(viewer, { download }) {
  viewer.painter.magnify(null);
  viewer.painter.paint();
  const { canvas: source, pixelRatio: ratio } = viewer;
  const bar = Math.round(30 * ratio);
  const canvas = document.createElement("canvas");
  canvas.width = source.width;
  canvas.height = source.height + bar;
  const pen = canvas.getContext("2d");
  pen.drawImage(source, 0, 0);
  pen.scale(ratio, ratio);
  for (const pane of viewer.panes) if (pane.image) drawPane(pen, viewer, pane, ratio);
  drawBanner(pen, viewer, canvas.width / ratio, source.height / ratio, bar / ratio);
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

function drawPane(pen, viewer, pane, ratio) {
  const { image, time } = pane;
  const [left, top] = [pane.rect.x / ratio, pane.rect.y / ratio];
  const outerRight = image.chestWall === "left";
  const x = outerRight ? left + pane.rect.width / ratio - 10 : left + 10;
  const align = outerRight ? "right" : "left";
  write(pen, time === "prior" ? `${image.label} prior` : image.label, x, top + 22, 16, { align, weight: 600 });
  if (typeof image.score === "number" && !viewer.state.aiHidden) {
    const text = `AI ${image.score.toFixed(2)}${image.flagged ? " - flagged" : ""}`;
    write(pen, text, x, top + 41, 12, { align, colour: image.flagged ? "#ffb066" : "#b9c6d2" });
  }
  for (const ruler of viewer.state.annotations ? (viewer.rulers.get(image.id) ?? []) : []) {
    const ends = rulerEnds(pane, ruler, ratio).map(([a, b]) => [a + left, b + top]);
    pen.beginPath();
    pen.moveTo(...ends[0]);
    pen.lineTo(...ends[1]);
    pen.strokeStyle = "#6fd3ff";
    pen.lineWidth = 1.5;
    pen.stroke();
    const { length, source } = rulerText(image, ruler);
    write(pen, length, ends[1][0] + 8, ends[1][1], 12, { weight: 600, colour: "#6fd3ff" });
    write(pen, source, ends[1][0] + 8, ends[1][1] + 13, 10, { colour: "#9fd9f2" });
  }
}

function drawBanner(pen, viewer, width, top, height) {
  pen.fillStyle = "#2b2110";
  pen.fillRect(0, top, width, height);
  write(pen, viewer.banner, 12, top + height / 2 + 5, 13, { weight: 600, colour: "#ffcf70" });
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
