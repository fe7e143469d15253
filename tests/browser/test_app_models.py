"""The Models tab in a real browser: send a run, compare, read with it, go back; in two pages at once."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import safetensors
import safetensors.torch
from app_page import open_app, view
from PIL import Image
from test_app_threshold import validation

from app_server import AppServer, app_server
from made import made_checkpoint, made_point
from mammo_core.library import Library
from mammo_core.library.adding import add
from mammo_core.library.second_opinion import SecondOpinion
from mammo_core.model_files import DEFAULT_MODEL, PHANTOM_MODEL, bundled_models
from mammo_core.sandbox import DecodeSandbox

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from conftest import PageLog

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder with learning curves, and something that is nobody's business."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    folder.mkdir()
    made_checkpoint(folder / "checkpoint.safetensors", operating_point=made_point(0.6), validation=validation())
    epoch = '{"event": "epoch", "phase": "%s", "epoch": %d, "train_loss": %.1f, "validation_loss": 0.9, "roc_auc": 0.6}'
    lines = [epoch % ("warm" if number < 3 else "full", number, 1 / number) for number in range(1, 6)]
    (folder / "log.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (folder / "last").mkdir()
    (folder / "last" / "state.safetensors").write_bytes(b"what a run goes on from")
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    """The app on two exams that the bundled model has read."""
    folder = tmp_path_factory.mktemp("models")
    files = folder / "files"
    files.mkdir()
    for number in range(2):
        view(files / f"{number}.dcm", "LCC", patient=f"P{number:02}", study=f"1.2.{number}")
    with Library(folder / "library") as library, DecodeSandbox() as sandbox:
        library.set_demo_made()
        add(library, [files], sandbox, progress=lambda _: None)
        opinion = SecondOpinion.from_file(library.models.entry(library.usual_model()).path)
        for study in library.unread_by(opinion.sha256):
            opinion.read(library, study, sandbox)
    with app_server(folder / "library") as started:
        yield started


def opened(page: "Page", server: AppServer) -> "Page":
    open_app(page, server)
    page.locator("#tabs [role=tab]", has_text="Models").click()
    page.wait_for_selector("#models-list", timeout=90_000)
    return page


def test_a_run_is_sent_compared_read_with_and_taken_back(
    page: "Page", page_log: "PageLog", server: AppServer, run: Path
) -> None:
    # What a page asks for while it is loaded anew is given up.
    page_log.expect_error("AbortError")
    page_log.expect_error("Connection errored out")
    opened(page, server)
    assert page.locator("#models-list button").count() == len(bundled_models())
    page.get_by_label("Run folder").set_input_files(run)
    page.wait_for_selector("#models-card h2:has-text('made 1')", timeout=60_000)
    assert page.locator("#models-list [aria-pressed=true] b").inner_text() == "made"
    assert "imported" in page.locator("#models-list [aria-pressed=true]").inner_text()
    x = page.locator("#chart-loss .line.train").get_attribute("data-x")
    assert x == "1 2 3 4 5"
    assert page.locator("#chart-areas .upright.phase").get_attribute("data-x") == "2.5"
    # Another data set: there is nothing to compare on, and that is said.
    page.wait_for_selector("#comparison-problem:has-text('none is shared')")
    page.get_by_label("Reason to use it").fill("  ")
    page.get_by_role("button", name="Read with this model").click()
    page.wait_for_selector("#models-problem:has-text('reason: is empty')")
    page.get_by_label("Reason to use it").fill("It was made for this <clinic>")
    page.get_by_role("button", name="Read with this model").click()
    page.wait_for_selector("#promotions .used:has-text('It was made for this <clinic>')")
    assert "none is shared" in page.locator("#promotions .used details li").all_text_contents()[1]
    # The exams are read anew, and a page loaded anew shows it.
    with server.opened() as library:
        used = library.models.in_use().sha256
    page.reload()
    page.locator("#worklist tr", has_text="P01").click()
    page.wait_for_selector("#result dl.model:has-text('made')", timeout=60_000)
    page.wait_for_function("document.querySelectorAll('#worklist tr .score').length === 2")
    with server.opened() as library:
        assert library.unread_by(used) == []
        scores = {line.id: line.score for line in library.worklist()}
        assert {library.study(study).ai.result.model.sha256 for study in scores} == {used}
    opened(page, server)
    page.get_by_role("button", name=f"Go back to {DEFAULT_MODEL}").click()
    page.wait_for_selector("#promotions .used:has-text('no reason given')")
    assert "in use" in page.locator("#models-list button", has_text=DEFAULT_MODEL).inner_text()
    with server.opened() as library:
        assert {line.score for line in library.worklist()}.isdisjoint(scores.values())


def test_another_page_follows(page: "Page", server: AppServer, run: Path) -> None:
    opened(page, server)
    with server.opened() as library:
        entry = library.models.add(run / "checkpoint.safetensors", origin="trained")
        library.models.promote(entry.sha256, "Decided elsewhere", {})
    page.wait_for_selector("#promotions .used:has-text('Decided elsewhere')")
    with server.opened() as library:
        library.models.roll_back("And back")
    page.wait_for_selector("#promotions .used:has-text('And back')")


def test_a_checkpoint_that_does_not_fit_is_refused_with_the_tensor_named(
    page: "Page", page_log: "PageLog", server: AppServer, run: Path, tmp_path: Path
) -> None:
    page_log.expect_error("422")
    with safetensors.safe_open(run / "checkpoint.safetensors", framework="pt") as whole:
        tensors = {name: whole.get_tensor(name) for name in whole.keys()}  # noqa: SIM118 (not a mapping)
        metadata = whole.metadata()
    tensors["head.extra"] = tensors["head.weight"].clone()
    safetensors.torch.save_file(tensors, tmp_path / "<odd>.safetensors", metadata)
    opened(page, server)
    page.get_by_label("Checkpoint file").set_input_files(tmp_path / "<odd>.safetensors")
    page.wait_for_selector("#models-problem:has-text('head.extra')", timeout=60_000)
    assert "<odd>.safetensors" in page.inner_text("#models-problem")


def test_the_report_is_shown_in_a_frame_with_its_gallery(page: "Page", server: AppServer) -> None:
    """What is displayed counts: the gallery's pictures are painted, and nothing was asked of another machine."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    opened(page, server)
    page.locator("#models-list button", has_text=PHANTOM_MODEL).click()
    page.wait_for_selector(f"#models-card h2:has-text('{PHANTOM_MODEL}')")
    frame = page.frame_locator("iframe[name=report]")
    page.locator("iframe[name=report]").scroll_into_view_if_needed()  # it is loaded when it is looked at
    frame.locator("#gallery img").first.wait_for(state="visible", timeout=60_000)
    frame.locator("#gallery img").first.scroll_into_view_if_needed()
    shot = page.locator("iframe[name=report]").screenshot()
    pixels = np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)
    warm = pixels[..., 0] - pixels[..., 2]
    assert (warm > 60).sum() > 500, "a heatmap is on screen"
    assert all(url.startswith((server.url, "data:", "blob:", "about:")) for url in asked), asked


def test_models_are_compared_on_shared_cases_at_the_rate_that_is_typed(
    page: "Page", server: AppServer, tmp_path: Path
) -> None:
    for name, seed in (("first", 1), ("second", 2)):
        random = np.random.default_rng(seed)
        known = validation()
        scores = np.clip(np.array(known.scores) + 0.05 * random.standard_normal(len(known.scores)), 0, 1)
        made_checkpoint(
            tmp_path / f"{name}.safetensors",
            name=name,
            validation=known.model_copy(update={"scores": tuple(np.round(scores, 4).tolist())}),
        )
        with server.opened() as library:
            library.models.add(tmp_path / f"{name}.safetensors", origin="imported")
    opened(page, server)
    page.locator("#models-list button", has_text="first").click()
    page.wait_for_selector("#models-card h2:has-text('first 1')")
    other = page.locator("select[name=against] option", has_text="second").get_attribute("value")
    page.get_by_label("Against").select_option(other)
    page.wait_for_selector("#differences")
    field = page.get_by_label("Recall rate")
    field.fill("25")
    field.press("Enter")
    page.wait_for_selector("#differences th:has-text('at a recall rate of at most 25.0%')")
    assert page.locator("#differences tbody tr").count() == 4
    assert page.locator("#differences td[data-value]").first.inner_text().count("to") == 1


def test_nothing_overlaps(page: "Page", server: AppServer) -> None:
    opened(page, server)
    page.wait_for_selector("#chart-loss")
    for width, height in ((1366, 768), (2560, 1440)):
        page.set_viewport_size({"width": width, "height": height})
        for column in (".bench-left", ".bench-right"):
            over = page.evaluate(
                f"document.querySelector('{column}').scrollWidth - document.querySelector('{column}').clientWidth"
            )
            assert over <= 0, f"{column} at {width}"
        wide = page.evaluate(
            "[...document.querySelectorAll('.bench-right section')]"
            ".filter((section) => section.scrollWidth > section.clientWidth + 1).length"
        )
        assert wide == 0, f"a section is wider than its place at {width}"
