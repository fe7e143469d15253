"""How long a reader waits for the app: from the command to a usable page, and from a click to four views on the screen.

    python benchmarks/app.py [--rounds 5] [--width 1366] [--height 768]

The real app in a real Chromium (software rendering where there is no GPU), on a library of its own with two synthetic
exams of 3328 rows. Prints medians in milliseconds. Needs the ``dev`` extra and Chromium.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from mammo_core.library import Library
from mammo_core.library.adding import add
from mammo_core.phantom import VENDORS, PhantomSettings, make_exam, write_exam
from mammo_core.sandbox import DecodeSandbox

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "tests" / part) for part in ("browser", "")]
from app_server import app_server
from conftest import ARGUMENTS, chromium_path

# From the press of the mouse to the frame on which the viewer says that the study's pictures are painted and read back.
CLICK = """async (row) => {
  const viewer = window.mammoViewer, begin = performance.now();
  const shown = new Promise((resolve) => viewer.addEventListener("loaded", resolve, { once: true }));
  document.querySelector(`#worklist tr[data-study="${row}"]`).click();
  await shown;
  viewer.painter.paint();
  viewer.screen.readDisplay(1, 1);
  return performance.now() - begin; }"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--width", type=int, default=1366)
    parser.add_argument("--height", type=int, default=768)
    options = parser.parse_args()
    waits(options.rounds, options.width, options.height)


def waits(rounds: int, width: int = 1366, height: int = 768) -> None:
    """Measure and print what a reader waits for, in a window of this size."""
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        library = filled_library(Path(scratch))
        path = chromium_path()
        chromium = playwright.chromium.launch(executable_path=path, headless=True, args=ARGUMENTS)
        usable, first, again = [], [], []
        for _ in range(rounds):
            page = chromium.new_page(viewport={"width": width, "height": height})
            start = time.perf_counter()
            with app_server(library) as server:
                page.goto(server.url)
                page.wait_for_selector("#worklist tr")
                page.wait_for_function("window.mammoViewer !== undefined")
                usable.append((time.perf_counter() - start) * 1000)
                settle(page)
                for study, times in ((1, first), (2, first), (1, again), (2, again)):
                    times.append(page.evaluate(CLICK, study))
                    page.wait_for_timeout(500)
            page.close()
        chromium.close()
    for name, times in (
        ("command to usable page", usable),
        ("click to four views", first),
        ("the same, seen before", again),
    ):
        print(f"{name:28}{statistics.median(times):8.0f} ms  (of {len(times)}: {min(times):.0f} to {max(times):.0f})")


def settle(page: Page) -> None:
    """Wait until the AI has read what was waiting, so that it does not compete for the processor."""
    page.wait_for_function(
        "[...document.querySelectorAll('#worklist .status')].every((s) => s.textContent === 'AI done')", timeout=120_000
    )


def filled_library(scratch: Path) -> Path:
    """A library with two exams of 3328 rows, already decoded, as after a first visit."""
    vendor = next(vendor for vendor in VENDORS if vendor.rows == 3328)
    for index in range(2):
        write_exam(
            make_exam(PhantomSettings(height=3328), seed=1, index=index, vendor=vendor), scratch / f"exam{index}"
        )
    with Library(scratch / "library") as library, DecodeSandbox() as sandbox:
        library.set_demo_made()
        for index in range(2):
            add(library, [scratch / f"exam{index}"], sandbox, progress=lambda _: None)
    return scratch / "library"


if __name__ == "__main__":
    main()
