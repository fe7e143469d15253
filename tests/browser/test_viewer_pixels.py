"""What the viewer puts on screen, read back from the drawing buffer, against values computed with numpy."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from picture_server import PictureServer, image, study

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

SHOWN = """([label, points]) => {
  const viewer = window.mammoViewer, pane = viewer.paneOf(label), { rect } = viewer.panes[pane];
  const box = viewer.canvas.getBoundingClientRect(), ratio = window.devicePixelRatio;
  return points.map(([x, y]) => {
    const at = viewer.imageToScreen(pane, x + 0.5, y + 0.5);
    return viewer.readDisplay(pane, Math.floor((at.x - box.left) * ratio + 1e-3) - rect.x,
                              Math.floor((at.y - box.top) * ratio + 1e-3) - rect.y).slice(0, 3);
  });
}"""


def shown(page: "Page", label: str, points: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    """RGB on screen, int (N, 3), of image pixels (x, y)."""
    return np.array(page.evaluate(SHOWN, [label, [list(map(int, point)) for point in points]]))


def give(page: "Page", payload: dict[str, Any]) -> Any:
    """Show a study and wait until it is painted."""
    return page.evaluate("(value) => window.give(value)", payload)


@pytest.fixture
def actual(page: "Page", pictures: PictureServer) -> Callable[..., None]:
    """Open one image at 1:1."""
    page.goto(pictures.url)

    def open_one(one: dict[str, Any], **fields: object) -> None:
        give(page, study([one], **fields))
        page.evaluate("() => window.mammoViewer.actualSize()")

    return open_one


def gradient() -> NDArray[np.uint16]:
    """120 x 160 pixels, all different, from 0 to 4,095."""
    return np.linspace(0, 4095, 120 * 160).astype(np.uint16).reshape(120, 160)


POINTS = [(x, y) for y in range(3, 120, 13) for x in range(1, 160, 19)]


def linear(x: NDArray[np.float64], c: float, w: float) -> NDArray[np.float64]:
    """PS3.3 C.11.2.1.2.1, to [0, 1]."""
    inside = (x - (c - 0.5)) / (w - 1) + 0.5
    return np.where(x <= c - 0.5 - (w - 1) / 2, 0.0, np.where(x > c - 0.5 + (w - 1) / 2, 1.0, inside))


def linear_exact(x: NDArray[np.float64], c: float, w: float) -> NDArray[np.float64]:
    """PS3.3 C.11.2.1.3.2, to [0, 1]."""
    return np.where(x <= c - w / 2, 0.0, np.where(x > c + w / 2, 1.0, (x - c) / w + 0.5))


def sigmoid(x: NDArray[np.float64], c: float, w: float) -> NDArray[np.float64]:
    """PS3.3 C.11.2.1.3.1, to [0, 1]."""
    return 1 / (1 + np.exp(-4 * (x - c) / w))


FUNCTIONS = {"LINEAR": linear, "LINEAR_EXACT": linear_exact, "SIGMOID": sigmoid}


@pytest.mark.parametrize("function", list(FUNCTIONS))
@pytest.mark.parametrize("monochrome1", [False, True])
def test_windows_in_modality_units(
    page: "Page", pictures: PictureServer, actual: Callable[..., None], function: str, monochrome1: bool
) -> None:
    pixels = gradient()
    voi = {"name": "one", "kind": "window", "center": 3500.5, "width": 4100.25, "function": function}
    actual(image(pictures, "LCC", pixels, vois=[voi], slope=2, intercept=-1000, monochrome1=monochrome1))
    stored = np.array([pixels[y, x] for x, y in POINTS], float)
    grey = FUNCTIONS[function](2 * stored - 1000, 3500.5, 4100.25)
    expected = 255 * (1 - grey if monochrome1 else grey)
    got = shown(page, "LCC", POINTS)
    assert np.ptp(expected) > 230
    np.testing.assert_allclose(got, np.repeat(expected[:, None], 3, 1), atol=0.51)
    page.keyboard.press("i")
    page.mouse.move(400, 300)
    page.keyboard.press("i")
    np.testing.assert_allclose(shown(page, "LCC", POINTS), np.repeat(255 - expected[:, None], 3, 1), atol=0.51)


def test_linear_window_of_width_one_is_a_step(
    page: "Page", pictures: PictureServer, actual: Callable[..., None]
) -> None:
    pixels = np.repeat(np.arange(96, 104, dtype=np.uint16)[None], 8, 0)
    voi = {"name": "step", "kind": "window", "center": 100, "width": 1, "function": "LINEAR"}
    actual(image(pictures, "LCC", pixels, vois=[voi]))
    grey = shown(page, "LCC", [(x, 4) for x in range(8)])[:, 0]
    assert grey.tolist() == [0, 0, 0, 0, 255, 255, 255, 255]  # 99 <= 99.5 < 100


def test_voi_lut(page: "Page", pictures: PictureServer, actual: Callable[..., None]) -> None:
    pixels = gradient()
    table = np.round(1023 * (np.arange(3000) / 2999) ** 2).astype(np.uint16)
    url = pictures.put("/lut/one", table)
    voi = {"name": "film", "kind": "lut", "first": 500, "bits": 10, "url": url}
    actual(image(pictures, "LCC", pixels, vois=[voi]))
    index = np.clip(np.array([int(pixels[y, x]) - 500 for x, y in POINTS]), 0, 2999)
    np.testing.assert_allclose(shown(page, "LCC", POINTS)[:, 0], table[index] / 1023 * 255, atol=0.51)


@pytest.mark.parametrize("monochrome1", [False, True])
def test_padding_is_black_and_does_not_bleed(page: "Page", pictures: PictureServer, monochrome1: bool) -> None:
    # Tissue 1000 beside padding 4095, with the border at an odd column, so that every mip level mixes them.
    pixels = np.full((1001, 801), 1000, np.uint16)
    pixels[:, :333] = 4095
    page.goto(pictures.url)
    one = image(pictures, "RCC", pixels, padding=[4000, 4095], monochrome1=monochrome1)
    give(page, study([one]))
    tissue = 255 * linear(np.array(1000.0), 2048, 4096)
    tissue = 255 - tissue if monochrome1 else tissue
    row = shown(page, "RCC", [(x, 500) for x in range(0, 801)])[:, 0]
    assert set(row[:329].tolist()) == {0}
    np.testing.assert_allclose(row[338:], tissue, atol=0.51)
    between = row[329:338]
    assert np.all((between == 0) | (np.abs(between - tissue) <= 1))
    page.evaluate("() => window.mammoViewer.set({ invert: true })")
    assert set(shown(page, "RCC", [(x, 500) for x in range(0, 329, 7)])[:, 0].tolist()) == {0}


def box_means(below: NDArray[np.int64]) -> NDArray[np.int64]:
    """Average 2 x 2 blocks, rounded; the last row and column of what is left."""
    rows, columns = below.shape
    made = np.zeros(((rows + 1) // 2, (columns + 1) // 2), np.int64)
    for i, j in np.ndindex(made.shape):
        block = below[2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
        made[i, j] = (block.sum() + block.size // 2) // block.size
    return made


def test_pyramid_is_exact_and_stored_values_too(page: "Page", pictures: PictureServer) -> None:
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 65536, (203, 149)).astype(np.uint16)
    page.goto(pictures.url)
    give(page, study([image(pictures, "LCC", pixels)]))
    expected = pixels.astype(np.int64)
    for level in range(3):
        points = [(int(rng.integers(expected.shape[1])), int(rng.integers(expected.shape[0]))) for _ in range(40)]
        points.append((expected.shape[1] - 1, expected.shape[0] - 1))
        got = page.evaluate(
            """([level, points]) => { const viewer = window.mammoViewer;
            const loaded = viewer.store.ready(viewer.study.images[0].url);
            return points.map(([x, y]) => viewer.screen.readValue(loaded, x, y, level)); }""",
            [level, points],
        )
        assert got == [int(expected[y, x]) for x, y in points]
        expected = box_means(expected)
    assert page.evaluate("() => window.mammoViewer.readValue('LCC', 148, 202)") == int(pixels[202, 148])


def test_minified_by_two_shows_block_means(page: "Page", pictures: PictureServer) -> None:
    pixels = np.random.default_rng(4).integers(0, 4096, (240, 320)).astype(np.uint16)
    page.goto(pictures.url)
    give(page, study([image(pictures, "LCC", pixels)]))
    page.evaluate(
        """() => { const viewer = window.mammoViewer; viewer.actualSize();
        const { rect } = viewer.panes[0]; viewer.zoom(viewer.panes[0], rect.x + 100, rect.y + 100, 0.5); }"""
    )
    points = [(x, y) for x in range(0, 320, 14) for y in range(0, 240, 18)]
    means = box_means(pixels.astype(np.int64))
    expected = 255 * linear(np.array([means[y // 2, x // 2] for x, y in points], float), 2048, 4096)
    np.testing.assert_allclose(shown(page, "LCC", points)[:, 0], expected, atol=0.51)


def heat_of(server: PictureServer, label: str, values: NDArray[np.uint8], peak: float) -> dict[str, Any]:
    rows, columns = values.shape
    url = server.put(f"/heat/{label}", values)
    return {"url": url, "columns": columns, "rows": rows, "peak": peak}


# matplotlib's inferno at 255 and 128 of 255; the viewer's polynomial stays within 9 grey levels of it.
HOTTEST, MIDDLE = np.array([252, 255, 164]), np.array([188, 55, 84])


def test_heat_is_blended_by_opacity_over_the_right_place(page: "Page", pictures: PictureServer) -> None:
    pixels = np.full((400, 300), 2048, np.uint16)
    heat = np.zeros((4, 3), np.uint8)
    heat[1, 2] = 255
    quiet = np.full((4, 3), 255, np.uint8)
    images = [
        image(pictures, "RCC", pixels, heat=heat_of(pictures, "RCC", heat, 8.0)),
        image(pictures, "LCC", pixels, heat=heat_of(pictures, "LCC", quiet, 4.0)),
    ]
    page.goto(pictures.url)
    give(page, study(images))
    plain = shown(page, "RCC", [(30, 30)])[0]
    assert plain.tolist() == [128, 128, 128]
    hot, middle = [(250, 150)], [(150, 200)]  # middle of heat cell (1, 2); any place of the even map
    for opacity in (0.25, 0.5, 1.0):
        page.evaluate("(opacity) => window.mammoViewer.set({ opacity })", opacity)
        np.testing.assert_allclose(shown(page, "RCC", hot)[0], 128 + (HOTTEST - 128) * opacity, atol=10)
        np.testing.assert_allclose(shown(page, "LCC", middle)[0], 128 + (MIDDLE - 128) * opacity, atol=10)
        assert shown(page, "RCC", [(30, 30)])[0].tolist() == [128, 128, 128]
    page.evaluate("() => window.mammoViewer.set({ perView: true })")
    np.testing.assert_allclose(shown(page, "LCC", middle)[0], HOTTEST, atol=10)
    page.evaluate("() => window.mammoViewer.set({ perView: false, threshold: 0.6 })")
    assert shown(page, "LCC", middle)[0].tolist() == [128, 128, 128]
    page.evaluate("() => window.mammoViewer.set({ threshold: 0.3, heat: false })")
    assert shown(page, "RCC", hot)[0].tolist() == [128, 128, 128]


def test_magnifier_shows_the_same_window_twice_as_big(
    page: "Page", pictures: PictureServer, actual: Callable[..., None]
) -> None:
    pixels = gradient()
    actual(image(pictures, "LCC", pixels))
    at = page.evaluate("() => window.mammoViewer.imageToScreen(0, 80.5, 60.5)")
    page.mouse.move(at["x"], at["y"])
    page.evaluate("() => window.mammoViewer.set({ magnifier: true })")
    page.mouse.move(at["x"], at["y"] + 1)
    page.mouse.move(at["x"], at["y"])
    page.wait_for_timeout(200)
    # The point under the cursor stays; what is shown 20 pixels right of it is the image 10 pixels right.
    got = shown(page, "LCC", [(80, 60), (100, 60), (80, 80)])[:, 0]
    values = np.array([pixels[60, 80], pixels[60, 90], pixels[70, 80]], float)
    np.testing.assert_allclose(got, 255 * linear(values, 2048, 4096), atol=1.01)


def test_too_big_for_a_texture_is_reduced_and_says_so(page: "Page", pictures: PictureServer) -> None:
    pixels = np.full((300, 200), 1000, np.uint16)
    pixels[:, 100:] = 3000
    page.goto(pictures.url)
    payload = study([image(pictures, "LCC", pixels)])
    got = page.evaluate(
        """async (payload) => {
        window.mammoViewer.destroy();
        const { Viewer } = await import("/viewer/viewer.js");
        window.mammoViewer = new Viewer(document.querySelector(".mammo-viewer"), { maxTexture: 100 });
        await window.mammoViewer.load(payload);
        return window.mammoViewer.root.innerText; }""",
        payload,
    )
    assert "Shown at 1/3 of its resolution" in got
    expected = 255 * linear(np.array([1000.0, 3000.0]), 2048, 4096)
    np.testing.assert_allclose(shown(page, "LCC", [(40, 150), (170, 150)])[:, 0], expected, atol=0.51)


def test_lost_context_comes_back(page: "Page", pictures: PictureServer, actual: Callable[..., None]) -> None:
    pixels = gradient()
    actual(image(pictures, "LCC", pixels))
    before = shown(page, "LCC", POINTS)
    page.evaluate(
        """() => new Promise((resolve) => { const viewer = window.mammoViewer;
        const extension = viewer.screen.gl.getExtension("WEBGL_lose_context");
        viewer.addEventListener("loaded", resolve, { once: true });
        const restore = () => setTimeout(() => extension.restoreContext(), 50);
        viewer.canvas.addEventListener("webglcontextlost", restore);
        extension.loseContext(); })"""
    )
    np.testing.assert_array_equal(shown(page, "LCC", POINTS), before)
