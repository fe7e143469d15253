"""How fast the viewer is in a real Chromium: click to four views, again from its cache, and one redraw.

Four synthetic 3328 x 2560 views, served gzipped as the app serves them. Prints medians in milliseconds.

    python benchmarks/viewer.py [--rounds 5] [--width 1366] [--height 768]
"""

import argparse
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "browser"))
from picture_server import PictureServer, image, study

from conftest import ARGUMENTS, chromium_path

ROWS, COLUMNS = 3328, 2560
SPACING = {"row": 0.07, "column": 0.07, "source": "Imager Pixel Spacing (0018,1164), at the detector"}
# A redraw ends when the screen's pixels can be read back. The change alternates, so that every frame differs.
REDRAWS = """async ([change, count]) => {
  const viewer = window.mammoViewer, act = new Function("viewer", "step", change), taken = [];
  for (let step = 0; step < count; step++) {
    const begin = performance.now();
    act(viewer, step);
    viewer.painter.paint();
    viewer.screen.readDisplay(viewer.canvas.width - 1, viewer.canvas.height - 1);
    viewer.screen.readDisplay(1, 1);
    taken.push(performance.now() - begin);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return taken; }"""
ACTIONS = {
    "window/level drag": "viewer.adjustTone(step % 2 ? 0.02 : -0.02, 1);",
    "window/level drag with heat": "viewer.adjustTone(step % 2 ? 0.02 : -0.02, 1);",
    "zoom step": "viewer.zoom(viewer.panes[0], 500, 90, step % 2 ? 1.1 : 1 / 1.1);",
    "pan step": "viewer.pan(viewer.panes[0], step % 2 ? 9 : -9, 0);",
}


def breast(label: str, seed: int) -> NDArray[np.uint16]:
    """Breast-shaped noise: about as compressible as a mammogram (half of it air)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:ROWS, :COLUMNS]
    wall = COLUMNS if label[0] == "R" else 0
    inside = ((y - ROWS / 2) / (ROWS * 0.42)) ** 2 + ((x - wall) / (COLUMNS * 0.6)) ** 2 < 1
    coarse = rng.normal(0, 300, (ROWS // 64, COLUMNS // 64)).repeat(64, 0).repeat(64, 1)
    tissue = 1800 + coarse + rng.normal(0, 30, (ROWS, COLUMNS))
    return np.where(inside, tissue.clip(1, 4095), 0).astype(np.uint16)


def payload(server: PictureServer, name: str, seed: int) -> dict[str, Any]:
    """Four views with heatmaps."""
    images = []
    for offset, label in enumerate(("RCC", "LCC", "RMLO", "LMLO")):
        heat = np.random.default_rng(offset).integers(0, 256, (104, 80)).astype(np.uint8)
        one = image(server, label, breast(label, seed + offset), spacing=SPACING)
        one["id"] = f"{name}-{label}"
        one["url"] = server.put(f"/pixels/{name}/{label}", breast(label, seed + offset))
        url = server.put(f"/heat/{name}/{label}", heat)
        one["heat"] = {"url": url, "columns": 80, "rows": 104, "peak": 1.0}
        images.append(one)
    return study(images, study=name, nonce=name)


def measure(page: Page, studies: list[dict[str, Any]]) -> dict[str, list[float]]:
    """Milliseconds of each kind of action."""
    give = "async (value) => { const begin = performance.now(); await window.give(value);"
    give += " return performance.now() - begin; }"
    taken: dict[str, list[float]] = {"four views, first time": [], "four views, seen before": []}
    for one in studies:
        taken["four views, first time"].append(page.evaluate(give, one))
        page.wait_for_timeout(300)
    for one in studies:
        taken["four views, seen before"].append(page.evaluate(give, one))
    for name, change in ACTIONS.items():
        page.evaluate("(heat) => window.mammoViewer.set({ heat })", "heat" in name)
        if "window" in name:
            page.evaluate("() => window.mammoViewer.fit()")
        taken[name] = page.evaluate(REDRAWS, [change, 20])[2:]
    return taken


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--width", type=int, default=1366)
    parser.add_argument("--height", type=int, default=768)
    chosen = parser.parse_args()
    with PictureServer() as server, sync_playwright() as playwright:
        studies = [payload(server, f"study-{index}", 10 * index) for index in range(chosen.rounds)]
        chromium = playwright.chromium.launch(executable_path=chromium_path(), args=ARGUMENTS)
        page = chromium.new_page(viewport={"width": chosen.width, "height": chosen.height})
        page.goto(server.url, wait_until="networkidle")
        renderer = page.evaluate(
            """() => { const { gl } = window.mammoViewer.screen;
            const info = gl.getExtension("WEBGL_debug_renderer_info");
            return info ? gl.getParameter(info.UNMASKED_RENDERER_WEBGL) : "unknown"; }"""
        )
        print(f"{chosen.width} x {chosen.height}, {renderer}")
        for name, times in measure(page, studies).items():
            spread = f"{min(times):.0f} to {max(times):.0f}"
            print(f"{name:28} median {statistics.median(times):6.0f} ms   ({spread}, {len(times)} times)")
        chromium.close()


if __name__ == "__main__":
    main()
