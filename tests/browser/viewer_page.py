"""The viewer alone on a page, with made pictures, and a reader's hand on it."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from picture_server import PictureServer, image

if TYPE_CHECKING:
    from playwright.sync_api import Page


VIEWS = ("RCC", "LCC", "RMLO", "LMLO")
FINE = {"row": 0.05, "column": 0.05, "source": "Imager Pixel Spacing (0018,1164), at the detector"}
COARSE = {"row": 0.1, "column": 0.1, "source": "Imager Pixel Spacing (0018,1164), at the detector"}


def breast(label: str, rows: int = 400, columns: int = 300) -> NDArray[np.uint16]:
    """A bright half disc on the chest wall's side, air elsewhere."""
    y, x = np.mgrid[:rows, :columns]
    wall = columns if label[0] == "R" else 0
    inside = ((y - rows / 2) / (rows * 0.4)) ** 2 + ((x - wall) / (columns * 0.6)) ** 2 < 1
    return np.where(inside, 3000, 0).astype(np.uint16)


def four(pictures: PictureServer, **fields: object) -> list[dict[str, Any]]:
    return [image(pictures, label, breast(label), **fields) for label in VIEWS]


def start(page: "Page", pictures: PictureServer, payload: dict[str, Any]) -> Any:
    page.goto(pictures.url)
    return page.evaluate("(value) => window.give(value)", payload)


def where(page: "Page", label: str, x: float, y: float) -> tuple[float, float]:
    """Position on screen, in CSS pixels, of an image point."""
    at = page.evaluate(
        "([l, x, y]) => window.mammoViewer.imageToScreen(window.mammoViewer.paneOf(l), x, y)", [label, x, y]
    )
    return at["x"], at["y"]


def under(page: "Page", x: float, y: float) -> tuple[float, float]:
    """Image point under a position on screen."""
    found = page.evaluate("([x, y]) => window.mammoViewer.screenToImage(x, y).image", [x, y])
    return found[0], found[1]


def drag(page: "Page", start: tuple[float, float], end: tuple[float, float], button: str = "left") -> None:
    page.mouse.move(*start)
    page.mouse.down(button=button)
    page.mouse.move(*end, steps=4)
    page.mouse.up(button=button)


def state(page: "Page") -> Any:
    return page.evaluate("() => window.mammoViewer.state")
