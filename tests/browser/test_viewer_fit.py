"""How much of the screen the pictures and the words take: fit, pairs, sizes that grow with the viewer."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from picture_server import PictureServer, image, study
from PIL import Image

from mammo_core.projection import VIEWS as KNOWN_VIEWS

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

SPACING = {"row": 0.1, "column": 0.1, "source": "Imager Pixel Spacing (0018,1164), at the detector"}

# Per pane: its label, its rectangle, the canvas pixel where an image point is drawn.
PLACES = """(points) => window.mammoViewer.panes.map((pane) => {
  const viewer = window.mammoViewer, { rect, image } = pane, box = viewer.canvas.getBoundingClientRect();
  const on = ([x, y]) => { const at = viewer.imageToScreen(pane.index, x, y);
    return [(at.x - box.left) * viewer.pixelRatio, (at.y - box.top) * viewer.pixelRatio]; };
  return { label: image?.label, rect, row: pane.row, column: pane.column, scale: pane.view?.scale,
    at: image ? points[image.label].map(on) : [] };
})"""

ROW = """([label, y]) => { const viewer = window.mammoViewer, pane = viewer.paneOf(label);
  const { rect } = viewer.panes[pane], found = [];
  for (let x = 0; x < rect.width; x++) found.push(viewer.readDisplay(pane, x, y)[0]);
  return found; }"""


def rectangle(
    label: str, rows: int, columns: int, box: tuple[int, int, int, int]
) -> tuple[NDArray[np.uint16], dict[str, Any]]:
    """Tissue of 3000 in ``box`` (x0, y0, x1, y1) and air elsewhere, as pixels and the payload's field."""
    x0, y0, x1, y1 = box
    pixels = np.zeros((rows, columns), np.uint16)
    pixels[y0:y1, x0:x1] = 3000
    return pixels, {"breast": list(box)}


def give(page: "Page", pictures: PictureServer, images: list[dict[str, Any]], **fields: object) -> None:
    page.goto(pictures.url)
    page.evaluate("(value) => window.give(value)", study(images, **fields))


BOXES = {
    "RCC": (180, 100, 290, 300),  # 10 columns of air between breast and image edge: a scan that slipped
    "LCC": (0, 120, 100, 260),
    "RMLO": (150, 2, 300, 352),
    "LMLO": (0, 2, 120, 302),
}


def exam(pictures: PictureServer, **fields: object) -> list[dict[str, Any]]:
    made = []
    for label, box in BOXES.items():
        pixels, breast = rectangle(label, 400, 300, box)
        made.append(image(pictures, label, pixels, spacing=SPACING, **breast, **fields))
    return made


def test_fit_fills_the_panes_with_the_breasts_at_one_scale(page: "Page", pictures: PictureServer) -> None:
    give(page, pictures, exam(pictures))
    places = page.evaluate(PLACES, {label: [box[:2], box[2:]] for label, box in BOXES.items()})
    width, height = page.evaluate("() => [window.mammoViewer.canvas.width, window.mammoViewer.canvas.height]")
    assert len({place["scale"] for place in places}) == 1
    for place in places:
        (left, top), (right, bottom) = place["at"]
        wall = right if place["label"][0] == "R" else left
        assert wall == pytest.approx(width / 2, abs=1), place["label"]
        rect = place["rect"]
        assert top >= rect["y"] - 0.01, place["label"]
        assert bottom <= rect["y"] + rect["height"] + 0.01, place["label"]
    heights = [place["at"][1][1] - place["at"][0][1] for place in places]
    # The taller of both sides, CC over MLO: nearly all of the height is breast.
    assert max(heights[:2]) + max(heights[2:]) > 0.9 * height
    # MLO hangs from the top on both sides, so that the muscles meet.
    assert places[2]["at"][0][1] == pytest.approx(places[3]["at"][0][1], abs=0.6)

    # What is displayed: tissue up to the middle on both sides, where the right image ends in ten columns of air.
    middle = round((places[0]["at"][0][1] + places[0]["at"][1][1]) / 2)
    right_cc, left_cc = page.evaluate(ROW, ["RCC", middle]), page.evaluate(ROW, ["LCC", middle])
    tissue = places[0]["at"][1][0] - places[0]["at"][0][0]
    assert right_cc.count(187) == pytest.approx(tissue, abs=3)
    assert right_cc[-2] == left_cc[1] == 187


def test_fit_again_shows_the_whole_images_and_back(page: "Page", pictures: PictureServer) -> None:
    give(page, pictures, exam(pictures))
    scale = "() => window.mammoViewer.panes[0].view.scale"
    breast = page.evaluate(scale)
    button = page.get_by_role("button", name="Fit the breasts; again: the whole images")
    button.click()
    places = page.evaluate(PLACES, {label: [[0, 0], [300, 400]] for label in BOXES})
    for place in places:
        (left, top), (right, bottom) = place["at"]
        rect = place["rect"]
        assert left >= rect["x"] - 1, place["label"]
        assert right <= rect["x"] + rect["width"] + 1, place["label"]
        assert top >= rect["y"] - 1, place["label"]
        assert bottom <= rect["y"] + rect["height"] + 1, place["label"]
    middle = places[0]["rect"]["height"] // 2
    shown = page.evaluate(ROW, ["RCC", middle])
    assert shown[-1] == 0, "the air behind the chest wall is part of the image"
    assert 187 in shown
    button.click()
    assert page.evaluate(scale) == pytest.approx(breast)
    button.click()
    whole = page.evaluate(scale)
    page.mouse.move(600, 300)
    page.mouse.wheel(0, -200)
    page.wait_for_function(f"(old) => ({scale})() > old", arg=whole * 1.01)
    page.keyboard.press("f")
    assert page.evaluate(scale) == pytest.approx(breast), "out of a zoom, fit means the breasts"


def test_unknown_views_hang_right_and_left_at_one_scale(page: "Page", pictures: PictureServer) -> None:
    images = []
    for number, side in enumerate("RRL", start=1):
        box = (180, 50, 300, 350) if side == "R" else (0, 150, 110, 250)
        label = f"{side}? {number}"
        pixels, breast = rectangle(label, 400, 300, box)
        url = pictures.put(f"/pixels/unknown{number}", pixels)
        images.append(image(pictures, label, pixels, laterality=side, view=None, url=url, **breast))
    give(page, pictures, images)
    places = page.evaluate(PLACES, {one["label"]: [[0, 0], [300, 400]] for one in images})
    assert {place["label"]: (place["row"], place["column"]) for place in places} == {
        "R? 1": (0, 0),
        "L? 3": (0, 1),
        "R? 2": (1, 0),
    }
    assert len({place["scale"] for place in places}) == 1
    middle = page.evaluate("() => window.mammoViewer.canvas.width") / 2
    for place in places:
        edge = place["at"][1][0] if place["label"][0] == "R" else place["at"][0][0]
        assert edge == pytest.approx(middle, abs=1)
    row = places[1]["rect"]["height"] // 2
    assert page.evaluate(ROW, ["R? 1", row])[-2] == page.evaluate(ROW, ["L? 3", row])[1] == 187


def test_unknown_views_that_arrive_later_are_hung_too(page: "Page", pictures: PictureServer) -> None:
    images = []
    for number in (1, 2, 3):
        pixels, breast = rectangle(f"L? {number}", 400, 300, (0, 100, 120, 300))
        url = pictures.put(f"/pixels/late{number}", pixels)
        images.append(image(pictures, f"L? {number}", pixels, view=None, url=url, **breast))
    page.goto(pictures.url)
    shown = page.evaluate(
        """async ([first, then]) => {
        window.mammoViewer.destroy();
        const { mount } = await import("/theme/viewer_panel.js");
        const props = { value: first }, acts = [];
        mount(document.querySelector("#host"), props, () => {}, (name, act) => name === "value" && acts.push(act));
        props.value = then;
        for (const act of acts) act();
        return window.mammoViewer.panes.map((pane) => pane.image?.label ?? null); }""",
        [study(images[:1]), study(images, nonce="2")],
    )
    assert shown == ["L? 1", "L? 2", "L? 3"]


def test_only_known_views_have_a_place_and_each_standard_view_is_in_its_own(
    page: "Page", pictures: PictureServer
) -> None:
    page.goto(pictures.url)
    family = page.evaluate("async () => (await import('/viewer/layout.js')).FAMILY")
    placed = [view for views in family.values() for view in views]
    assert set(placed) <= set(KNOWN_VIEWS)
    assert len(placed) == len(set(placed))
    # Perpendicular to MLO, or no breast at all: these hang by themselves.
    assert set(KNOWN_VIEWS) - set(placed) == {"SIO", "ISO", "SPECIMEN"}
    pixels, breast = rectangle("RXCC", 400, 300, BOXES["RCC"])
    give(page, pictures, [*exam(pictures), image(pictures, "RXCC", pixels, view="XCC", **breast)])
    assert page.evaluate("() => window.mammoViewer.state.layout") == "four"
    assert page.evaluate("() => window.mammoViewer.panes[0].pages") == 2


@pytest.mark.parametrize(
    ("width", "height", "ratio"), [(820, 660, 1), (1840, 1370, 1), (2920, 2080, 1), (1290, 1000, 2)]
)
def test_words_and_buttons_grow_with_the_viewer(
    page: "Page", pictures: PictureServer, width: int, height: int, ratio: int
) -> None:
    context = page.context.browser.new_context(
        viewport={"width": width, "height": height}, device_scale_factor=ratio, accept_downloads=True
    )
    sized = context.new_page()
    voi = {"name": "window 1", "kind": "window", "center": 2048, "width": 4096, "function": "SIGMOID"}
    give(sized, pictures, exam(pictures, score="0.875", vois=[voi]), model={"name": "m", "version": "1"})
    unit = sized.evaluate("() => window.mammoViewer.unit")
    least = {820: 1.0, 1840: 1.35, 2920: 1.7, 1290: 1.15}[width]
    assert least <= unit <= least + 0.15

    def size(selector: str) -> float:
        return float(sized.locator(selector).first.evaluate("(node) => parseFloat(getComputedStyle(node).fontSize)"))

    assert size(".mv-label") >= 13.9 * unit
    for selector in (".mv-chip", ".mv-bottom", ".mv-letter", ".mv-status", ".mv-select"):
        assert size(selector) >= 10.4 * unit, selector
    button = sized.locator(".mv-button").first.bounding_box()
    toolbar = sized.locator(".mv-toolbar").bounding_box()
    assert button is not None
    assert toolbar is not None
    assert button["height"] == pytest.approx(28 * unit, abs=0.5)
    assert toolbar["height"] < 40 * unit, "the toolbar stays on one line"
    select = sized.locator(".mv-select")
    name = select.evaluate(
        """(node) => { const pen = document.createElement("canvas").getContext("2d");
        pen.font = getComputedStyle(node).font; return pen.measureText(node.selectedOptions[0].text).width; }"""
    )
    style = select.evaluate("(node) => { const s = getComputedStyle(node); return [s.backgroundImage, s.appearance]; }")
    room = select.evaluate(
        "(node) => node.clientWidth - parseFloat(getComputedStyle(node).paddingLeft)"
        " - parseFloat(getComputedStyle(node).paddingRight)"
    )
    assert name <= room + 0.5, "the window's name is not cut"
    assert "svg" in style[0], "a menu looks like one"
    assert style[1] == "none"
    context.close()


def test_the_exported_picture_is_written_in_the_same_size(page: "Page", pictures: PictureServer, tmp_path: Any) -> None:
    page.set_viewport_size({"width": 2920, "height": 2080})
    give(page, pictures, exam(pictures, score="0.875"), model={"name": "m", "version": "1"})
    unit = page.evaluate("() => window.mammoViewer.unit")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export this picture as PNG").click()
    file = tmp_path / "picture.png"
    download.value.save_as(file)
    picture = np.asarray(Image.open(file).convert("RGB")).astype(int)
    corner = picture[: round(30 * unit), : round(80 * unit)].min(axis=2)  # "RCC", white on black
    lines = np.flatnonzero((corner > 200).any(axis=1))
    assert np.ptp(lines) + 1 > 10 * unit  # capitals of 16 units are over 10 high
    assert picture.shape[0] == page.evaluate("() => window.mammoViewer.canvas.height") + round(30 * unit)


def test_rulers_are_caught_and_drawn_in_the_same_size(page: "Page", pictures: PictureServer) -> None:
    page.set_viewport_size({"width": 2920, "height": 2080})
    give(page, pictures, exam(pictures))
    unit = page.evaluate("() => window.mammoViewer.unit")
    page.mouse.move(1300, 400)
    page.keyboard.press("d")
    page.mouse.down()
    page.mouse.move(1200, 600, steps=3)
    page.mouse.up()
    grip = page.locator(".mv-ruler-grip").first
    assert float(grip.get_attribute("r") or 0) == pytest.approx(4 * unit)
    before = page.locator(".mv-ruler-length").text_content()
    page.mouse.move(1200 + round(8 * unit), 600)  # farther than 9 CSS pixels, within 9 units
    page.mouse.down()
    page.mouse.move(1200, 900, steps=3)
    page.mouse.up()
    assert page.locator(".mv-ruler-length").count() == 1, "the end was caught, no second ruler was drawn"
    assert page.locator(".mv-ruler-length").text_content() != before
