"""The viewer as a reader uses it: hanging, mouse, keyboard, rulers."""

from typing import TYPE_CHECKING

import pytest
from picture_server import PictureServer, image, study
from viewer_page import COARSE, FINE, breast, drag, four, start, state, under, where

if TYPE_CHECKING:
    from playwright.sync_api import Page


pytestmark = pytest.mark.browser


def test_four_views_hang_with_chest_walls_in_the_middle(page: "Page", pictures: PictureServer) -> None:
    start(page, pictures, study(four(pictures)))
    box = page.locator(".mv-canvas").bounding_box()
    assert box is not None
    middle = box["x"] + box["width"] / 2
    for label, wall in (("RCC", 300), ("LCC", 0), ("RMLO", 300), ("LMLO", 0)):
        x, y = where(page, label, wall, 200)
        assert x == pytest.approx(middle, abs=0.6)
        assert (y > box["y"] + box["height"] / 2) == label.endswith("MLO")
    # What is displayed: bright on both sides of the middle, black at the outer edges.
    row = page.evaluate(
        """() => { const viewer = window.mammoViewer, { width, height } = viewer.panes[0].rect;
        return [[0, width - 3], [1, 2], [2, width - 3], [3, 2], [0, 2], [1, width - 3]]
          .map(([pane, x]) => viewer.readDisplay(pane, x, Math.floor(height / 2))[0]); }"""
    )
    assert row == [187, 187, 187, 187, 0, 0]  # 255 * (3000 - 2047.5) / 4095 + 127.5
    letters = page.locator(".mv-letter").all_inner_texts()
    assert letters == ["A", "R", "A", "L", "A", "H", "A", "H"]


def test_fit_gives_all_views_the_same_millimetres(page: "Page", pictures: PictureServer) -> None:
    right = image(pictures, "RCC", breast("RCC", 400, 300), spacing=COARSE)
    left = image(pictures, "LCC", breast("LCC", 800, 600), spacing=FINE)
    start(page, pictures, study([right, left]))
    ten_mm = [
        where(page, "RCC", 100, 0)[0] - where(page, "RCC", 0, 0)[0],
        where(page, "LCC", 200, 0)[0] - where(page, "LCC", 0, 0)[0],
    ]
    assert ten_mm[0] == pytest.approx(ten_mm[1], rel=1e-6)
    assert state(page)["layout"] == "cc"


def test_wheel_zooms_at_the_cursor_and_mirrors(page: "Page", pictures: PictureServer) -> None:
    start(page, pictures, study(four(pictures)))
    x, y = where(page, "RCC", 220, 150)
    at = (round(x), round(y))  # wheel events have whole coordinates
    page.mouse.move(*at)
    before = under(page, *at)
    for _ in range(4):
        page.mouse.wheel(0, -120)
    page.wait_for_timeout(150)
    assert under(page, *at) == pytest.approx(before, abs=0.02)
    zoom = page.evaluate("() => window.mammoViewer.panes.map((pane) => pane.view.scale / pane.fitScale)")
    assert zoom == pytest.approx([2 ** (480 / 400)] * 4)
    # The left breast shows the mirrored place: as far from its chest wall as the right one.
    views = page.evaluate("() => window.mammoViewer.panes.map((pane) => [pane.view.x, pane.view.y])")
    assert 300 - views[0][0] == pytest.approx(views[1][0])
    assert views[0][1] == pytest.approx(views[1][1])

    page.keyboard.press("l")
    drag(page, at, (at[0] + 40, at[1] + 10), button="right")
    after = page.evaluate("() => window.mammoViewer.panes.map((pane) => [pane.view.x, pane.view.y])")
    assert after[1:] == views[1:]
    assert where(page, "RCC", *before) == pytest.approx((at[0] + 40, at[1] + 10), abs=0.1)

    page.keyboard.press("l")
    drag(page, at, (at[0] - 30, at[1]), button="middle")
    mirrored = page.evaluate("() => window.mammoViewer.panes.map((pane) => pane.view.x)")
    assert mirrored[0] - after[0][0] == pytest.approx(-(mirrored[1] - after[1][0]))
    page.keyboard.press("f")
    assert where(page, "RCC", 300, 200)[0] == pytest.approx(where(page, "LCC", 0, 200)[0], abs=0.6)


def test_one_to_one_is_one_image_pixel_per_device_pixel(page: "Page", pictures: PictureServer) -> None:
    start(page, pictures, study(four(pictures, spacing=COARSE)))
    page.get_by_role("button", name="1:1, one image pixel per screen pixel").click()
    left, right = where(page, "LMLO", 0, 0), where(page, "LMLO", 100, 50)
    assert (right[0] - left[0], right[1] - left[1]) == pytest.approx((100, 50))


def test_drag_windows_every_view_in_proportion(page: "Page", pictures: PictureServer) -> None:
    images = four(pictures)
    images[1]["vois"] = [{**images[1]["vois"][0], "center": 1000, "width": 2000}]
    start(page, pictures, study(images))
    at = where(page, "RCC", 220, 150)
    drag(page, at, (at[0] + 70, at[1] + 40))
    tones = page.evaluate("() => window.mammoViewer.study.images.map((one) => window.mammoViewer.tone(one))")
    widths = [tone["width"] for tone in tones]
    assert widths == pytest.approx([4096 * 2**0.5, 2000 * 2**0.5, 4096 * 2**0.5, 4096 * 2**0.5])
    moved = (tones[0]["center"] - 2048) / 4096
    assert moved > 0.1
    assert (tones[1]["center"] - 1000) / 2000 == pytest.approx(moved)
    page.keyboard.press("r")
    tones = page.evaluate("() => window.mammoViewer.study.images.map((one) => window.mammoViewer.tone(one))")
    assert [tone["center"] for tone in tones] == [2048, 1000, 2048, 2048]


def test_the_files_windows_are_presets(page: "Page", pictures: PictureServer) -> None:
    normal = {"name": "NORMAL", "kind": "window", "center": 2048, "width": 4096, "function": "LINEAR"}
    hard = {"name": "HARDER", "kind": "window", "center": 3000, "width": 500, "function": "SIGMOID"}
    images = four(pictures, vois=[normal, hard])
    images[3]["vois"] = [normal]
    start(page, pictures, study(images))
    page.get_by_label("Window of the file").select_option(label="HARDER sigmoid")
    tones = page.evaluate("() => window.mammoViewer.study.images.map((one) => window.mammoViewer.tone(one))")
    assert [tone["center"] for tone in tones] == [3000, 3000, 3000, 2048]
    assert "C 3000  W 500  HARDER sigmoid" in page.locator(".mv-pane").first.inner_text()
    page.mouse.move(*where(page, "RCC", 220, 150))
    page.keyboard.press("v")
    assert page.evaluate("() => window.mammoViewer.tone(window.mammoViewer.study.images[0]).choice") == 0


def test_ruler_measures_millimetres_and_says_whose(page: "Page", pictures: PictureServer) -> None:
    images = four(pictures, spacing={"row": 0.2, "column": 0.1, "source": "Pixel Spacing (0028,0030)"})
    images[1]["spacing"] = None
    start(page, pictures, study(images))
    page.keyboard.press("d")
    page.mouse.move(*where(page, "RCC", 100, 100))
    page.keyboard.press("d")
    drag(page, where(page, "RCC", 100, 100), where(page, "RCC", 200, 200))  # 10 mm across, 20 mm down
    texts = page.locator(".mv-pane").first.locator(".mv-ruler text").all_text_contents()
    assert texts[:2] == ["22.4 mm", "Pixel Spacing (0028,0030)"]
    drag(page, where(page, "RCC", 200, 200), where(page, "RCC", 200, 100))  # catches the end
    assert page.locator(".mv-ruler-length").all_text_contents() == ["10.0 mm"]
    drag(page, where(page, "LCC", 40, 100), where(page, "LCC", 40, 200))
    texts = page.locator(".mv-pane").nth(1).locator(".mv-ruler text").all_text_contents()
    assert texts[:2] == ["100 px", "no pixel spacing in the file"]
    page.keyboard.press("Delete")
    assert page.locator(".mv-ruler-length").all_text_contents() == ["10.0 mm"]
    page.mouse.click(*where(page, "LCC", 100, 150))  # a click is no ruler
    assert page.locator(".mv-ruler-length").count() == 1


def test_readout_names_place_and_value(page: "Page", pictures: PictureServer) -> None:
    images = four(pictures, slope=2, intercept=-10, spacing=COARSE)
    start(page, pictures, study(images))
    page.mouse.move(*where(page, "LCC", 20.4, 200.4))
    page.wait_for_timeout(200)
    words = page.locator(".mv-readout").inner_text().split()
    assert " ".join(words) == "LCC x 20 y 200 2.0, 20.0 mm stored 3000 value 5990"


def test_layouts_pages_and_priors(page: "Page", pictures: PictureServer) -> None:
    images = four(pictures)
    second = image(pictures, "RCC", breast("RCC"), id="RCC-2", url=images[0]["url"])
    prior = image(pictures, "RCC", breast("RCC"), id="old", prior=True, date="20220304", url=images[0]["url"])
    start(page, pictures, study([*images, second, prior]))
    page.mouse.move(*where(page, "RCC", 220, 150))
    assert page.locator(".mv-pane").first.locator(".mv-label").inner_text().split() == ["RCC", "1/2"]
    page.keyboard.press("n")
    assert page.evaluate("() => window.mammoViewer.panes[0].image.id") == "RCC-2"
    for key, shown in (("2", ["RCC", "LCC"]), ("3", ["RMLO", "LMLO"]), ("5", ["RCC", "RCC"]), ("4", ["RCC"])):
        page.keyboard.press(key)
        assert page.evaluate("() => window.mammoViewer.panes.map((pane) => pane.image.label)") == shown
        if key == "5":
            assert "Prior 2022-03-04" in page.locator(".mv-pane").nth(1).inner_text()
    page.keyboard.press("ArrowDown")
    assert page.evaluate("() => window.mammoViewer.panes[0].image.label") == "LCC"
    page.keyboard.press("1")
    page.mouse.dblclick(*where(page, "LMLO", 50, 200))
    assert page.evaluate("() => window.mammoViewer.panes.map((pane) => pane.image.label)") == ["LMLO"]
    page.mouse.dblclick(600, 400)
    assert state(page)["layout"] == "four"
    page.keyboard.press("6")
    old = page.evaluate("() => window.mammoViewer.panes.findIndex((pane) => pane.image.id === 'old')")
    box = page.locator(".mv-pane").nth(old).bounding_box()
    assert box is not None
    page.mouse.dblclick(box["x"] + box["width"] - 20, box["y"] + box["height"] / 2)
    assert page.evaluate("() => window.mammoViewer.panes.map((pane) => pane.image.id)") == ["old"]


def test_missing_and_unusual_views_are_said(page: "Page", pictures: PictureServer) -> None:
    start(page, pictures, study(four(pictures)[:3]))
    assert "No LMLO in this study" in page.locator(".mv-pane").nth(3).inner_text()
    odd = image(pictures, "LCC", breast("LCC"), laterality=None, view=None)
    odd["label"] = "view unknown"
    page.evaluate("(value) => window.give(value)", study([*four(pictures), odd], study="other"))
    assert state(page)["layout"] == "all"
    assert "view unknown" in page.locator(".mv-overlay").inner_text()


def test_keys_are_left_alone_while_typing_or_away(page: "Page", pictures: PictureServer) -> None:
    start(page, pictures, study(four(pictures)))
    page.evaluate(
        """() => { const note = document.createElement("textarea"); note.id = "note";
        note.style.cssText = "position: fixed; bottom: 0; height: 60px; z-index: 9";
        document.body.append(note); }"""
    )
    page.mouse.move(*where(page, "RCC", 220, 150))
    page.locator("#note").focus()
    page.keyboard.type("i4h")
    assert (state(page)["invert"], state(page)["layout"], state(page)["heat"]) == (False, "four", True)
    assert page.locator("#note").input_value() == "i4h"
    page.locator("#note").evaluate("(note) => note.blur()")
    page.mouse.move(40, 740)  # over the note, not over the viewer
    page.keyboard.press("i")
    assert state(page)["invert"] is False


def test_one_key_press_does_one_thing(page: "Page", pictures: PictureServer) -> None:
    start(page, pictures, study(four(pictures)))
    page.evaluate(
        """() => { const beside = document.createElement("div");
        beside.style.cssText = "position: fixed; bottom: 0; left: 0; z-index: 9";
        beside.innerHTML = '<input type="radio" name="a" id="first"><input type="radio" name="a" id="second">' +
          '<input type="checkbox" id="box"><button id="button">x</button><ul id="list" tabindex="0"></ul>';
        beside.querySelector("#list").addEventListener("keydown", (event) => {
          if (event.key === "ArrowDown") event.preventDefault(); });
        window.pressed = 0;
        beside.querySelector("#button").addEventListener("click", () => { window.pressed += 1; });
        document.body.append(beside); }"""
    )
    page.mouse.move(*where(page, "RCC", 220, 150))
    page.keyboard.press("4")
    active = state(page)["active"]
    # Letters reach the viewer under the mouse from a ticked box, which does nothing with them; its own keys do not.
    for own in ("#first", "#box", "#button"):
        page.locator(own).focus()
        inverted = state(page)["invert"]
        page.keyboard.press("i")
        assert state(page)["invert"] is not inverted, own
        page.keyboard.press(" ")
        assert page.evaluate("() => window.mammoViewer.controls.pointer.space") is False, own
    assert page.locator("#box").is_checked()
    assert page.evaluate("() => window.pressed") == 1
    page.locator("#first").focus()
    page.keyboard.press("ArrowDown")
    assert page.locator("#second").is_checked()
    assert state(page)["active"] == active
    # A widget of the app says that a key was its own by preventing the default.
    page.locator("#list").focus()
    page.keyboard.press("ArrowDown")
    assert state(page)["active"] == active
    page.locator(".mv-canvas").focus()
    page.keyboard.press("ArrowDown")
    assert state(page)["active"] != active


def test_magnifier_lasts_while_m_is_held(page: "Page", pictures: PictureServer) -> None:
    start(page, pictures, study(four(pictures)))
    page.mouse.move(*where(page, "RCC", 220, 150))
    page.keyboard.down("m")
    assert state(page)["magnifier"] is True
    page.wait_for_timeout(400)
    page.keyboard.up("m")
    assert state(page)["magnifier"] is False
    page.keyboard.press("m")
    assert state(page)["magnifier"] is True
    page.keyboard.press("m")
    assert state(page)["magnifier"] is False
