"""What the viewer says, withholds and hands out: blind mode, failures, refusals, export, help."""

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from picture_server import PictureServer, image, study
from PIL import Image
from viewer_page import breast, drag, four, start, state, where

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from conftest import PageLog

pytestmark = pytest.mark.browser


def scored(pictures: PictureServer) -> list[dict[str, Any]]:
    """Four scored views, three of them with a heatmap that covers everything."""
    images = four(pictures, score="0.88")
    for one in images[:3]:
        url = pictures.put(f"/heat/{one['id']}", np.full((4, 3), 255, np.uint8))
        one["heat"] = {"url": url, "columns": 3, "rows": 4, "peak": 2.0}
    images[3]["heatReason"] = "no localisation: the map is zero everywhere"
    return images


def test_blind_mode_shows_and_fetches_nothing_of_the_ai(page: "Page", pictures: PictureServer) -> None:
    model = {"name": "demo-model", "version": "1", "threshold": 0.5, "source": "phantoms"}
    payload = study(scored(pictures), model=model)
    start(page, pictures, {**payload, "aiHidden": True})
    text = page.locator(".mammo-viewer").inner_text()
    for word in ("AI", "0.88", "flagged", "localisation", "demo-model", "heat"):
        assert word not in text
    page.mouse.move(*where(page, "RCC", 220, 150))
    page.keyboard.press("h")
    page.keyboard.press("h")
    assert page.evaluate("() => window.mammoViewer.readDisplay(0, 600, 150)")[:3] == [187, 187, 187]
    assert [hit for hit in pictures.hits if "heat" in hit] == []
    assert page.get_by_role("button", name="Heatmap on / off").is_hidden()

    page.keyboard.press("2")
    page.evaluate("(value) => window.give(value)", {**payload, "nonce": "2"})
    assert state(page)["layout"] == "cc"  # the same study: nothing jumps when the AI is revealed
    text = page.locator(".mammo-viewer").inner_text()
    assert "AI 0.88" in text
    red, _, blue, _ = page.evaluate("() => window.mammoViewer.readDisplay(0, 600, 350)")
    assert red > blue + 20
    page.keyboard.press("1")
    chip = page.locator(".mv-pane").nth(3).locator(".mv-quiet")
    assert chip.inner_text() == "no localisation"
    assert chip.get_attribute("title") == "no localisation: the map is zero everywhere"


def test_text_from_files_stays_text(page: "Page", pictures: PictureServer) -> None:
    evil = '<img src=x onerror="window.pwned = 1"><script>window.pwned = 1</script>'
    voi = {"name": evil, "kind": "window", "center": 2048, "width": 4096, "function": "LINEAR"}
    one = image(
        pictures, "RCC", breast("RCC"), vois=[voi], facts=[[evil, evil]], score=evil,
        spacing={"row": 0.1, "column": 0.1, "source": evil}, heatReason=evil, prior=True, date=evil,
    )  # fmt: skip
    one["label"] = evil
    model = {"name": evil, "version": evil, "threshold": 0.5, "source": evil}
    start(page, pictures, study([one], title=evil, banner=evil, model=model))
    page.mouse.move(400, 300)
    page.keyboard.press("s")
    page.keyboard.press("d")
    drag(page, (500, 300), (560, 380))
    page.wait_for_timeout(200)
    assert page.locator(".mv-card").inner_text().count("<script>") >= 2
    assert evil in page.locator(".mv-banner").inner_text()
    assert evil in (page.locator(".mv-ruler-source").text_content() or "")
    assert page.locator(".mammo-viewer img, .mammo-viewer script").count() == 0
    assert page.evaluate("() => window.pwned") is None


def test_failures_are_words_in_their_pane(page: "Page", page_log: "PageLog", pictures: PictureServer) -> None:
    page_log.expect_error("404")
    images = four(pictures)
    images[0]["url"] = "/pixels/none"
    images[1]["url"] = pictures.put("/pixels/short", np.zeros((10, 10), np.uint16))
    images[2]["url"] = pictures.put("/pixels/long", np.zeros((500, 500), np.uint16))
    result = start(page, pictures, study(images))
    assert result["failed"] == 3
    panes = page.locator(".mv-pane")
    assert "RCC could not be loaded: the server answered 404" in panes.nth(0).inner_text()
    assert "200 bytes arrived, 240,000 were expected" in panes.nth(1).inner_text()
    assert "more than the expected 240,000 bytes arrived" in panes.nth(2).inner_text()
    assert panes.nth(3).locator(".mv-message").is_hidden()
    heard = page.evaluate("() => window.heard.filter((one) => one.type === 'failed').map((one) => one.image)")
    assert sorted(heard) == ["LCC", "RCC", "RMLO"]
    pictures.put("/pixels/none", breast("RCC"))
    panes.nth(0).get_by_role("button", name="Try again").click()
    page.wait_for_timeout(400)
    assert panes.nth(0).locator(".mv-message").is_hidden()
    assert page.evaluate("() => window.mammoViewer.readValue('RCC', 299, 200)") == 3000


def test_a_refusal_of_the_app_is_shown_in_its_own_words(
    page: "Page", page_log: "PageLog", pictures: PictureServer
) -> None:
    page_log.expect_error("422")
    images = four(pictures)
    pictures.refused[images[0]["url"]] = "library: the file is gone"
    start(page, pictures, study(images))
    text = page.locator(".mv-pane").nth(0).locator(".mv-message p").inner_text()
    assert text == "RCC could not be loaded: library: the file is gone"


def test_a_superseded_load_is_dropped_and_a_seen_study_is_not_fetched_again(
    page: "Page", pictures: PictureServer
) -> None:
    gate = threading.Event()
    slow = image(pictures, "RCC", breast("RCC"), id="slow")
    slow["url"] = pictures.put("/pixels/slow", breast("RCC"))
    pictures.held["/pixels/slow"] = gate
    page.goto(pictures.url)
    page.evaluate("(value) => { window.superseded = window.mammoViewer.load(value); }", study([slow], study="a"))
    page.wait_for_timeout(200)
    assert "RCC  0 %" in page.locator(".mv-message").first.inner_text()
    loaded = page.evaluate("(value) => window.give(value)", study(four(pictures), study="b", nonce="b"))
    assert (loaded["nonce"], loaded["cached"], loaded["failed"]) == ("b", False, 0)
    gate.set()
    assert page.evaluate("() => window.superseded") is None
    hits = len(pictures.hits)
    page.evaluate("(value) => window.give(value)", study([], study="c"))
    again = page.evaluate("(value) => window.give(value)", study(four(pictures), study="b", nonce="d"))
    assert (again["nonce"], again["cached"]) == ("d", True)
    assert pictures.hits[hits:] == []


def test_exported_picture_carries_the_banner(page: "Page", pictures: PictureServer, tmp_path: Any) -> None:
    start(page, pictures, study(four(pictures), title="Doe^Jane"))
    with page.expect_download() as download:
        page.get_by_role("button", name="Export this picture as PNG").click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    assert file.name == "mammogram-four.png"
    picture = np.asarray(Image.open(file).convert("RGB")).astype(int)
    box = page.locator(".mv-canvas").bounding_box()
    assert box is not None
    height, width = round(box["height"]), round(box["width"])
    bar = round(30 * page.evaluate("() => window.mammoViewer.unit"))
    assert picture.shape == (height + bar, width, 3)
    assert picture[height // 4, width // 2 - 3].tolist() == [187, 187, 187]
    banner = picture[height:, :400]
    amber = np.all(np.abs(banner - np.array([255, 207, 112])) < 30, axis=2)
    assert amber.sum() > 300  # the words, in the banner's colour on its own ground
    heard = page.evaluate("() => window.heard.find((one) => one.type === 'exported')")
    assert (heard["width"], heard["height"]) == (width, height + bar)


def test_a_study_without_a_banner_is_not_shown(page: "Page", pictures: PictureServer) -> None:
    start(page, pictures, study(four(pictures)))
    refused = page.evaluate(
        "(value) => window.mammoViewer.load(value).then(() => '', (error) => error.message)",
        study(four(pictures), study="other", banner=""),
    )
    assert refused == "viewer.load: the payload has no banner"
    assert page.locator(".mv-banner").inner_text() == "Research use only - not for diagnosis"
    page.evaluate("(value) => window.mammoViewer.load(value)", study([], study="none"))
    assert page.get_by_role("button", name="Export this picture as PNG").is_disabled()


def test_help_lists_the_keys(page: "Page", pictures: PictureServer) -> None:
    start(page, pictures, study(four(pictures)))
    page.get_by_role("button", name="Help and keyboard shortcuts").click()
    card = page.get_by_role("dialog", name="Mouse and keyboard")
    for words in ("Zoom at the cursor", "Invert", "Left drag: measure a distance", "Heatmap on / off"):
        assert words in card.inner_text()
    page.keyboard.press("Escape")
    assert card.is_hidden()


def test_without_webgl_it_says_so(page: "Page", pictures: PictureServer) -> None:
    page.add_init_script(
        """const whole = HTMLCanvasElement.prototype.getContext;
        HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
          return kind === "webgl2" ? null : whole.call(this, kind, ...rest); };"""
    )
    page.goto(pictures.url)
    assert "WebGL 2 is switched off or missing" in page.locator(".mammo-viewer").inner_text()
    heard = page.evaluate("() => window.heard")
    assert heard[0]["type"] == "failed"


def test_set_refuses_what_it_does_not_know(page: "Page", pictures: PictureServer) -> None:
    start(page, pictures, study(four(pictures)))
    tried = page.evaluate(
        """() => [{ zoom: 2 }, { layout: "nine" }, { opacity: "1" }].map((changes) => {
        try { window.mammoViewer.set(changes); return ""; } catch (error) { return error.message; } })"""
    )
    assert 'there is no "zoom"' in tried[0]
    assert "layout is one of four, cc" in tried[1]
    assert "opacity is a number, not string" in tried[2]
