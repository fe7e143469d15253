"""The Read tab as a reader uses it: the real app in a real browser, from dropped files to a recorded call."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pydicom
import pytest
from app_page import HUNG, drop, exam, open_app, stored, view, wait_shown
from numpy.typing import NDArray

from app_server import AppServer, app_server
from made import made_checkpoint, made_point
from mammo_core.library import Library
from mammo_gui.views.words import score_words
from tiny_dicom import write_mammogram

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from conftest import PageLog

pytestmark = pytest.mark.browser

# For image points: where the middle of the screen pixel that shows them lies in the image, and its RGB.
SHOWN = """([label, points]) => {
  const viewer = window.mammoViewer, pane = viewer.paneOf(label), { rect } = viewer.panes[pane];
  const box = viewer.canvas.getBoundingClientRect(), ratio = window.devicePixelRatio;
  return points.map(([x, y]) => {
    const at = viewer.imageToScreen(pane, x + 0.5, y + 0.5);
    const column = Math.floor((at.x - box.left) * ratio + 1e-3), row = Math.floor((at.y - box.top) * ratio + 1e-3);
    const { image } = viewer.screenToImage(box.left + (column + 0.5) / ratio, box.top + (row + 0.5) / ratio);
    return [...image, ...viewer.readDisplay(pane, column - rect.x, row - rect.y).slice(0, 3)];
  });
}"""

# A grid of screen pixels over a pane: where each lies in the image, and its RGB.
MIDDLE = """(label) => {
  const viewer = window.mammoViewer, pane = viewer.paneOf(label), { rect } = viewer.panes[pane];
  const box = viewer.canvas.getBoundingClientRect(), ratio = window.devicePixelRatio, found = [];
  for (let row = 60; row < rect.height - 60; row += 13) {
    for (let column = 10; column < rect.width - 10; column += 17) {
      const x = box.left + (rect.x + column + 0.5) / ratio, y = box.top + (rect.y + row + 0.5) / ratio;
      const hit = viewer.screenToImage(x, y);
      if (hit?.image) found.push([...hit.image, ...viewer.readDisplay(pane, column, row).slice(0, 3)]);
    }
  }
  return found;
}"""


def shown(page: "Page", label: str) -> NDArray[np.float64]:
    """What is on screen at ``POINTS`` of a hung image, at 1:1 and without heatmap: x, y, red, green, blue each."""
    page.evaluate("() => { window.mammoViewer.set({ heat: false }); window.mammoViewer.actualSize(); }")
    return np.array(page.evaluate(SHOWN, [label, [list(point) for point in POINTS]]))


def error(found: NDArray[np.float64], pixels: NDArray[Any], center: float = 2048, width: float = 4096) -> float:
    """Largest difference, in grays of 255, between the screen (x, y, RGB each) and a hung picture under a window.

    Computed here: bilinear between pixel centres, then the window of PS3.3 C.11.2.1.2.1.
    """
    x, y = found[:, 0] - 0.5, found[:, 1] - 0.5
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    right, down = x - x0, y - y0
    values = (
        pixels[y0, x0] * (1 - right) * (1 - down)
        + pixels[y0, x0 + 1] * right * (1 - down)
        + pixels[y0 + 1, x0] * (1 - right) * down
        + pixels[y0 + 1, x0 + 1] * right * down
    )
    gray = np.clip((values - (center - 0.5)) / (width - 1) + 0.5, 0, 1) * 255
    return float(np.abs(found[:, 2:] - gray[:, None]).max())


POINTS = [(x, y) for y in range(4, 90, 9) for x in range(3, 60, 7)] + [(10, 22), (53, 22)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[AppServer]:
    """The app on an empty library, with a small model of random weights."""
    made_checkpoint(tmp_path / "model.safetensors", operating_point=made_point(0.5))
    with Library(tmp_path / "library") as library:
        library.set_demo_made()
    with app_server(tmp_path / "library", model=tmp_path / "model.safetensors") as started:
        yield started


def test_a_dropped_exam_is_hung_and_shown_as_decoded(server: AppServer, page: "Page", tmp_path: Path) -> None:
    files = exam(tmp_path / "exam")
    # A right view stored mirrored, and a left one with white air.
    files[0] = view(tmp_path / "exam" / "RCC.dcm", "RCC", orientation="A\\L")
    inverted = 4095 - stored(breast_right=False)
    files[3] = view(tmp_path / "exam" / "LMLO.dcm", "LMLO", pixels=inverted, PhotometricInterpretation="MONOCHROME1")
    open_app(page, server)
    drop(page, files)
    wait_shown(page, *HUNG)
    for file in files:
        decoded = pydicom.dcmread(file).pixel_array.astype(np.int64)
        if file.stem == "RCC":
            decoded = decoded[:, ::-1]
        if file.stem == "LMLO":
            decoded = 4095 - decoded
        assert error(shown(page, file.stem), decoded) <= 1, file.stem
        left, right = shown(page, file.stem)[-2:, 2]
        assert (right > left) == (file.stem[0] == "R"), "the spot is beside the chest wall"
    places = page.evaluate("() => window.mammoViewer.panes.map((p) => [p.image.label, p.rect.x > 0, p.rect.y > 0])")
    assert sorted(places) == [["LCC", True, False], ["LMLO", True, True], ["RCC", False, False], ["RMLO", False, True]]


@pytest.mark.parametrize("name", ["inbreast01", "inbreast04"])
def test_a_real_exam_is_shown_as_decoded(
    server: AppServer, page: "Page", shared: Path, tmp_path: Path, name: str
) -> None:
    open_app(page, server)
    with page.expect_file_chooser() as choosing:
        page.click("#add-folder")
    choosing.value.set_files(shared / "exams" / name)
    wait_shown(page, *HUNG)
    page.evaluate("() => { window.mammoViewer.set({ heat: false }); window.mammoViewer.actualSize(); }")
    for label in HUNG:
        dataset = pydicom.dcmread(shared / "exams" / name / f"{label}.dcm")
        pixels = dataset.pixel_array.astype(np.float64)
        if dataset.PatientOrientation[0] != HUNG[label][0]:
            pixels = pixels[:, ::-1]
        found = np.array(page.evaluate(MIDDLE, label))
        inside = (found[:, 0] > 1) & (found[:, 0] < pixels.shape[1] - 1)
        assert inside.sum() > 50
        center, width = float(dataset.WindowCenter), float(dataset.WindowWidth)
        assert error(found[inside], pixels, center, width) <= 1, label


def test_the_score_arrives_and_the_banner_stays(server: AppServer, page: "Page", tmp_path: Path) -> None:
    open_app(page, server)
    drop(page, exam(tmp_path / "exam"))
    page.wait_for_selector("#exam-score")
    with server.opened() as library:
        ai = library.study(1).ai
    assert ai is not None
    assert ai.result.score is not None
    assert page.inner_text("#exam-score") == score_words(ai.result.score, 0.5)
    assert "threshold 0.5" in page.inner_text("#result .verdict")
    assert "trained on synthetic phantoms only" in page.inner_text("#result .loud")
    assert "Made by hand." in page.inner_text("#result .model")
    assert page.locator("#worklist .status").inner_text() == "AI done"
    for study in ("", "?study=1"):
        open_app(page, server, study)
        assert page.locator("#banner").inner_text() == "Research use only - not for diagnosis"
        assert page.locator("#banner").is_visible()


def test_window_zoom_and_heatmap_change_the_picture(server: AppServer, page: "Page", tmp_path: Path) -> None:
    open_app(page, server)
    drop(page, exam(tmp_path / "exam"))
    page.wait_for_selector("#exam-score")
    wait_shown(page, *HUNG)
    before = shown(page, "LCC")
    box = page.locator("#viewer canvas").first.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] * 0.75, box["y"] + box["height"] * 0.25
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y + 40, steps=4)
    page.mouse.up()
    after = shown(page, "LCC")
    assert np.abs(after - before)[:, 2:].max() > 10
    zoom = "() => window.mammoViewer.panes[window.mammoViewer.paneOf('LCC')].view"
    fitted = page.evaluate(zoom)
    page.mouse.move(x, y)
    page.mouse.wheel(0, -400)
    page.wait_for_function(f"(old) => JSON.stringify(({zoom})()) !== JSON.stringify(old)", arg=fitted)

    def painted(opacity: float) -> NDArray[np.float64]:
        page.evaluate(
            "(opacity) => { window.mammoViewer.set({ heat: true, opacity, threshold: 0 });"
            " window.mammoViewer.actualSize(); }",
            opacity,
        )
        return np.array(page.evaluate(SHOWN, ["LCC", [[12, 48], [20, 40]]]))

    faint, strong = painted(0.0), painted(1.0)
    assert np.array_equal(faint[:, 2], faint[:, 3])
    assert np.abs(strong - faint)[:, 2:].max() > 10


def test_blind_mode_sends_no_ai_before_the_first_call(
    server: AppServer, page: "Page", page_log: "PageLog", tmp_path: Path
) -> None:
    with server.opened() as library:
        library.set_blind(True)
    answers: list[str] = []
    page.on("response", lambda response: answers.append(response.url) if "/mammo/heat/" in response.url else None)
    open_app(page, server)
    drop(page, exam(tmp_path / "exam"))
    page.wait_for_function("document.querySelector('#worklist .status')?.textContent === 'AI done'")
    wait_shown(page, *HUNG)
    assert "Blind mode" in page.inner_text("#result .opinion")
    assert page.locator("#exam-score").count() == 0
    assert page.evaluate("() => JSON.stringify(window.mammoViewer.study)").count('"score":null') == 4
    assert page.locator("#worklist .score").inner_text() == "hidden"
    assert answers == []
    sha = page.evaluate("() => window.mammoViewer.study.images[0].id")
    page_log.expect_error("403")
    assert page.evaluate(f"() => fetch('/mammo/heat/{sha}?method=gradcam').then((answer) => answer.status)") == 403
    page.locator("#call").get_by_text("No recall").nth(0).click()
    page.locator("#call").get_by_text("Recall", exact=True).nth(1).click()
    page.fill("#call textarea", "Distortion <b>lateral</b>")
    page.click("#call button.primary")
    page.wait_for_selector("#exam-score")
    page.wait_for_function("() => window.mammoViewer.study.images.some((image) => image.score !== null)")
    assert "AI hidden" in page.inner_text("#call .history")
    assert page.inner_text("#call .history q") == "Distortion <b>lateral</b>"
    assert page.input_value("#call textarea") == ""
    page.locator("#call").get_by_text("Disagree").click()
    page.locator("#call").get_by_text("No recall").nth(1).click()
    page.click("#call button.primary")
    page.wait_for_function("document.querySelectorAll('#call .history li').length === 2")
    with server.opened() as library:
        first, second = library.study(1).reads
    assert (first.blind, first.ai_id, first.call.note) == (True, None, "Distortion <b>lateral</b>")
    assert first.call.right is not None
    assert first.call.left is not None
    assert (first.call.right.recall, first.call.left.recall) == (False, True)
    assert (second.blind, second.call.agreement, second.call.right) == (False, "disagree", None)


def test_a_reload_keeps_the_study(server: AppServer, page: "Page", tmp_path: Path) -> None:
    open_app(page, server)
    drop(page, exam(tmp_path / "first"))
    page.wait_for_selector("#worklist tr")
    drop(page, exam(tmp_path / "second", patient="P2", study="1.2.4"))
    page.wait_for_function("document.querySelectorAll('#worklist tr').length === 2")
    page.locator("#worklist tr", has_text="P2").click()
    page.wait_for_function("new URL(location.href).searchParams.get('study') === '2'")
    page.reload()
    page.wait_for_function("window.mammoViewer !== undefined")
    wait_shown(page, *HUNG)
    assert page.locator("#worklist tr[aria-selected=true] .patient").inner_text() == "P2"
    assert page.inner_text("#result h2") == "P2"


def test_the_same_exam_twice_and_a_bad_file_among_good_ones(server: AppServer, page: "Page", tmp_path: Path) -> None:
    files = exam(tmp_path / "exam")
    bad = tmp_path / "exam" / "<img src=x onerror=alert(1)>.dcm"
    bad.write_bytes(b"no DICOM")
    open_app(page, server)
    drop(page, [*files, bad])
    page.wait_for_selector("#progress .refused li")
    page.wait_for_selector("#progress .outcome")
    assert "4 images added in 1 study." in page.inner_text("#progress .outcome span")
    assert "is not DICOM" in page.inner_text("#progress .refused li span")
    drop(page, files)
    page.get_by_text("4 images were in the library already.").wait_for()
    assert page.locator("#worklist tr").count() == 1
    assert page.locator("#progress .refused li").count() == 0


def test_a_folder_is_taken_by_its_picker(server: AppServer, page: "Page", tmp_path: Path) -> None:
    exam(tmp_path / "exam")
    open_app(page, server)
    with page.expect_file_chooser() as choosing:
        page.click("#add-folder")
    choosing.value.set_files(tmp_path / "exam")
    wait_shown(page, *HUNG)


def test_a_missing_side_is_asked_for_and_hung_when_answered(server: AppServer, page: "Page", tmp_path: Path) -> None:
    file = write_mammogram(
        tmp_path / "a.dcm", stored(breast_right=False), ImageLaterality=None, PatientOrientation=None, ViewPosition=None
    )
    open_app(page, server)
    drop(page, [file])
    page.wait_for_selector("#result .questions form")
    assert page.locator("#worklist .status").inner_text() == "needs answer"
    page.select_option("#result .questions select[name=laterality]", "R")
    page.select_option("#result .questions select[name=view]", "MLO")
    page.click("#result .questions button")
    page.wait_for_function("document.querySelector('#result .questions') === null")
    wait_shown(page, "RMLO")
    hung = stored(breast_right=False)[:, ::-1].astype(np.int64)
    assert error(shown(page, "RMLO"), hung) <= 1
    with server.opened() as library:
        assert library.events(1)[-1].what in {"side and view corrected", "AI result recorded"}
        assert "side and view corrected" in {event.what for event in library.events(1)}


def test_text_from_headers_stays_text(server: AppServer, page: "Page", tmp_path: Path) -> None:
    hostile = "<img src=x onerror=alert(1)>{{7*7}}${7*7}"
    open_app(page, server)
    drop(page, exam(tmp_path / "exam", patient=hostile, Manufacturer="<script>alert(1)</script>"))
    wait_shown(page, *HUNG)
    assert page.locator("#worklist .patient").inner_text() == hostile
    assert page.inner_text("#result h2") == hostile
    page.locator("#result .saw summary").first.click()
    assert "<script>alert(1)</script>" in page.inner_text("#result .saw details[open]")
    assert page.locator("img[src=x]").count() == 0


def test_search_sort_and_keyboard_in_the_worklist(server: AppServer, page: "Page", tmp_path: Path) -> None:
    open_app(page, server)
    for number, (patient, date) in enumerate([("Adams", "20200101"), ("Baker", "20220101"), ("Clark", "20210101")]):
        folder = tmp_path / patient
        folder.mkdir()
        drop(page, [view(folder / "a.dcm", "LCC", patient=patient, study=f"1.2.{number}", StudyDate=date)])
        page.locator("#worklist tr", has_text=patient).wait_for()
    names = page.locator("#worklist tr:visible .patient")
    assert names.all_inner_texts() == ["Baker", "Clark", "Adams"]
    page.locator("#worklist .heads button", has_text="Exam").click()
    assert names.all_inner_texts() == ["Adams", "Clark", "Baker"]
    page.fill("#worklist input", "2021")
    assert names.all_inner_texts() == ["Clark"]
    page.fill("#worklist input", "")
    page.locator("#worklist tr", has_text="Adams").click()
    page.wait_for_function("document.querySelector('#result h2')?.textContent === 'Adams'")
    page.locator("#worklist .rows").focus()
    page.keyboard.press("ArrowDown")
    page.wait_for_function("document.querySelector('#result h2')?.textContent === 'Clark'")
    page.keyboard.press("ArrowUp")
    page.wait_for_function("document.querySelector('#result h2')?.textContent === 'Adams'")


def test_views_that_arrive_later_are_hung_with_the_first(server: AppServer, page: "Page", tmp_path: Path) -> None:
    files = exam(tmp_path / "exam")
    open_app(page, server)
    drop(page, files[:1])
    wait_shown(page, "RCC")
    drop(page, files[1:])
    wait_shown(page, *HUNG)


def test_a_prior_hangs_beside_the_exam(server: AppServer, page: "Page", tmp_path: Path) -> None:
    open_app(page, server)
    drop(page, exam(tmp_path / "now", study="1.2.5", StudyDate="20240102"))
    wait_shown(page, *HUNG)
    drop(page, exam(tmp_path / "then", study="1.2.4", StudyDate="20220102"))
    # What this page has sent is opened in it; going back shows the exam before.
    page.wait_for_function("new URL(location.href).searchParams.get('study') === '2'")
    page.go_back()
    page.locator("#result .priors button", has_text="2022-01-02").click()
    page.wait_for_function("() => window.mammoViewer.study.images.filter((image) => image.prior).length === 4")
    page.wait_for_function("() => window.mammoViewer.state.layout === 'prior'")


def test_everything_fits_on_a_small_screen(server: AppServer, page: "Page", tmp_path: Path) -> None:
    open_app(page, server)
    drop(page, exam(tmp_path / "exam"))
    page.wait_for_selector("#exam-score")
    size = page.evaluate("() => [document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
    assert size == [1366, 768]
    for wanted in ("#call button.primary", "#exam-score", "#banner", "#worklist input", "#export"):
        box = page.locator(wanted).bounding_box()
        assert box is not None, wanted
        assert box["y"] >= 0, wanted
        assert box["y"] + box["height"] <= 768, wanted
        assert box["x"] + box["width"] <= 1366, wanted
