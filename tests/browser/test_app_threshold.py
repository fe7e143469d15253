"""The Threshold tab in a real browser: move, type, flip, save, reload, read with it, go back."""

import io
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from app_page import open_app, view
from PIL import Image

from app_server import AppServer, app_server
from made import made_checkpoint, made_point
from mammo_core.checkpoint import ValidationScores, load_checkpoint
from mammo_core.library import Library
from mammo_core.library.adding import add
from mammo_core.library.second_opinion import SecondOpinion
from mammo_core.sandbox import DecodeSandbox

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

EXAMS = 4
N = 400


def validation() -> ValidationScores:
    random = np.random.default_rng(1)
    labels = random.random(N) < 0.3
    scores = np.clip(0.45 + 0.12 * random.standard_normal(N) + 0.15 * labels, 0.01, 0.99)
    return ValidationScores(
        unit="breast",
        patients=tuple(f"V{i // 2:03}" for i in range(N)),
        labels=tuple(labels.tolist()),
        scores=tuple(np.round(scores, 4).tolist()),
        groups={"laterality": ("R", "L") * (N // 2), "density": tuple(random.choice(list("ABCD"), N).tolist())},
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    """The app on a few exams, which the model has read."""
    folder = tmp_path_factory.mktemp("threshold")
    files = folder / "files"
    files.mkdir()
    for number in range(EXAMS):
        view(files / f"{number}.dcm", "LCC", patient=f"P{number:02}", study=f"1.2.{number}")
    model = folder / "model.safetensors"
    made_checkpoint(model, operating_point=made_point(0.6), validation=validation())
    with Library(folder / "library") as library, DecodeSandbox() as sandbox:
        library.set_demo_made()
        add(library, [files], sandbox, progress=lambda _: None)
        opinion = SecondOpinion.from_file(model)
        for study in library.unread_by(opinion.sha256):
            opinion.read(library, study, sandbox)
    with app_server(folder / "library", model=model) as started:
        yield started


@pytest.fixture
def tab(server: AppServer, page: "Page") -> "Page":
    """The tab as it is opened, with the checkpoint's own threshold in use."""
    with server.opened() as library:
        sha256 = load_checkpoint(server.library.parent / "model.safetensors").sha256
        if library.points.in_use(sha256) is not None:
            library.points.use(sha256, None, "before the next test", made_point(0.6))
    open_app(page, server)
    opened(page)
    return page


def opened(page: "Page") -> None:
    page.locator("#tabs [role=tab]", has_text="Threshold").click()
    page.wait_for_selector("#tile-sensitivity", timeout=90_000)


def number(page: "Page", name: str) -> float:
    return float(page.inner_text(f"#tile-{name} strong").split()[0])


def wait_for_threshold(page: "Page", low: float, high: float) -> float:
    page.wait_for_function(
        "([low, high]) => { const v = Number(document.querySelector('#threshold-value').textContent);"
        " const s = Number(document.querySelector('form[data-action=save] [name=threshold]').value);"
        " return v >= low && v <= high && Math.abs(s - v) < 0.001; }",
        arg=[low, high],
    )
    return float(page.input_value("form[data-action=save] [name=threshold]"))


def expected(threshold: float) -> tuple[float, float]:
    cases = validation().cases("")
    flagged = cases.scores >= threshold
    return 100 * float(flagged[cases.labels].mean()), 100 * float((~flagged)[~cases.labels].mean())


def settled(page: "Page") -> float:
    """The threshold, once the server has answered for the place where the slider stands."""
    page.wait_for_function(
        "() => { const [slider, form] = ['#threshold-slider', 'form[data-action=save] [name=threshold]']"
        ".map((name) => Number(document.querySelector(name).value));"
        " return Math.abs(slider - form) < 1e-6; }"
    )
    return float(page.input_value("form[data-action=save] [name=threshold]"))


def check_figures(page: "Page", threshold: float) -> None:
    sensitivity, specificity = expected(threshold)
    # Controls, figures and charts are drawn one after the other, and neighbours share one of the two rates.
    page.wait_for_function(
        "([sensitivity, specificity]) => ['sensitivity', 'specificity'].every((name) => "
        "document.querySelector(`#tile-${name} strong`).textContent === { sensitivity, specificity }[name])",
        arg=[f"{sensitivity:.1f} %", f"{specificity:.1f} %"],
    )
    page.wait_for_function(
        "([x, y]) => { const { dataset } = document.querySelector('#chart-roc .mark.now');"
        " return Math.abs(dataset.x - x) < 1e-9 && Math.abs(dataset.y - y) < 1e-9; }",
        arg=[1 - specificity / 100, sensitivity / 100],
    )


def test_the_slider_moves_by_keyboard_and_every_figure_follows(tab: "Page") -> None:
    check_figures(tab, 0.6)
    slider = tab.locator("#threshold-slider")
    slider.focus()
    for _ in range(60):
        tab.keyboard.press("ArrowLeft")
    moved = wait_for_threshold(tab, 0.5, 0.59)
    check_figures(tab, moved)
    assert tab.evaluate("document.activeElement.id") == "threshold-slider", "the hand stays on it"
    tab.keyboard.press("End")
    end = wait_for_threshold(tab, 0.8, 1.0)
    assert number(tab, "specificity") == 100
    assert end >= max(validation().scores)


def test_the_slider_moves_by_mouse(tab: "Page") -> None:
    box = tab.locator("#threshold-slider").bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    tab.mouse.move(box["x"] + box["width"] * 0.55, y)
    tab.mouse.down()
    for part in np.linspace(0.55, 0.3, 12):
        tab.mouse.move(box["x"] + box["width"] * part, y)
        tab.wait_for_timeout(60)  # answers come in the middle of it
    tab.mouse.up()
    wait_for_threshold(tab, 0.1, 0.45)
    check_figures(tab, settled(tab))


def test_a_typed_target_is_solved_for(tab: "Page") -> None:
    field = tab.get_by_label("Sensitivity", exact=True)
    field.fill("80")
    field.press("Enter")
    check_figures(tab, wait_for_threshold(tab, 0.3, 0.58))
    assert number(tab, "sensitivity") >= 80
    field = tab.get_by_label("Recall rate", exact=True)
    field.fill("5,0")
    field.press("Enter")
    tab.wait_for_function("Number(document.querySelector('#tile-recalled strong').textContent) <= 50")
    assert 40 <= number(tab, "recalled") <= 50
    tab.get_by_role("button", name="90 % specificity").click()
    tab.wait_for_function("document.querySelector('#tile-specificity strong').textContent.startsWith('90')")


def test_what_cannot_be_is_said(tab: "Page") -> None:
    for label, text, words in (
        ("Sensitivity", "many", "'many' is not a number"),
        ("Specificity", "120", "specificity: 120 %"),
        ("Cancers per 1,000", "0", "prevalence: 0 per 1,000 is not more than 0"),
    ):
        field = tab.get_by_label(label, exact=True)
        field.fill(text)
        field.press("Enter")
        tab.wait_for_selector(f'#threshold-problem:has-text("{words}")')
    check_figures(tab, 0.6)


def test_the_prevalence_moves_what_depends_on_it(tab: "Page") -> None:
    before = {name: number(tab, name) for name in ("sensitivity", "ppv", "found")}
    field = tab.get_by_label("Cancers per 1,000", exact=True)
    field.fill("300")
    field.press("Enter")
    tab.wait_for_function("Number(document.querySelector('#tile-found strong').textContent) > 50")
    assert number(tab, "sensitivity") == before["sensitivity"]
    assert number(tab, "ppv") > 10 * before["ppv"]
    assert number(tab, "found") == pytest.approx(100 * before["found"], rel=0.05)


def test_the_charts_are_painted(tab: "Page") -> None:
    for name in ("roc", "pr", "scores", "workload"):
        picture = Image.open(io.BytesIO(tab.locator(f"#chart-{name} svg").screenshot())).convert("RGB")
        pixels = np.asarray(picture).astype(int)
        blue = (pixels[..., 2] > 150) & (pixels[..., 0] < 120)
        orange = (pixels[..., 0] > 150) & (pixels[..., 2] < 120)
        assert (orange if name == "scores" else blue).sum() > 100, f"{name} shows nothing"
        assert (pixels.min(axis=2) > 190).sum() > 10, f"{name} does not mark the threshold"


def test_a_threshold_is_saved_read_with_and_taken_back(tab: "Page", server: AppServer) -> None:
    # Every exam of the library changes side between nobody and everybody.
    tab.locator("#threshold-slider").focus()
    tab.keyboard.press("Home")
    low = wait_for_threshold(tab, 0.0, 0.3)
    flagged_before = flags(server)
    listed = tab.locator("#library-flips button")
    assert listed.count() == sum(not flag for flag in flagged_before.values())
    tab.wait_for_selector("#flips li")
    # Without a reason nothing is saved.
    tab.get_by_label("Name").fill("Everybody")
    tab.get_by_role("button", name="Save and use").click()
    tab.wait_for_selector("#threshold-problem:has-text('reason: is empty')")
    tab.get_by_label("Name").fill("Everybody")
    tab.locator("form[data-action=save] [name=reason]").fill("to see it used")
    tab.get_by_role("button", name="Save and use").click()
    tab.wait_for_selector("#versions .used:has-text('Everybody')")
    assert all(flags(server).values())
    tab.reload()
    opened(tab)
    assert wait_for_threshold(tab, 0.0, 0.3) == pytest.approx(low)
    assert "to see it used" in tab.inner_text("#versions .used")
    # The exam is read with it.
    tab.locator("#tabs [role=tab]", has_text="Read").click()
    tab.locator("#worklist tr", has_text="P01").click()
    tab.wait_for_selector("#result .verdict:has-text('at or above the threshold')")
    assert "saved as 'Everybody', version 1" in tab.inner_text("#result dl.model")
    # And back to what the checkpoint came with.
    tab.locator("#tabs [role=tab]", has_text="Threshold").click()
    back = tab.locator("#versions li", has_text="the checkpoint's own")
    back.get_by_label("Reason").fill("enough seen")
    back.get_by_role("button", name="Use").click()
    tab.wait_for_selector('#versions .used:has-text("the checkpoint\'s own")')
    assert flags(server) == flagged_before


def flags(server: AppServer) -> dict[int, bool | None]:
    with server.opened() as library:
        return {line.id: line.flagged for line in library.worklist()}


def test_an_entry_that_would_change_is_one_click_from_the_hung_study(tab: "Page", server: AppServer) -> None:
    tab.locator("#threshold-slider").focus()
    tab.keyboard.press("Home")
    wait_for_threshold(tab, 0.0, 0.3)
    entry = tab.locator("#library-flips button").first
    if entry.count() == 0:
        tab.keyboard.press("End")
        wait_for_threshold(tab, 0.8, 1.0)
    patient = entry.locator("b").inner_text()
    with server.opened() as library:
        assert library.study(int(entry.get_attribute("data-study") or "")).patient_id == patient
    entry.click()
    tab.wait_for_function("(name) => document.querySelector('#result h2')?.textContent === name", arg=patient)
    assert (
        tab.locator("#worklist tr[aria-selected=true]").inner_text().startswith(patient)
        or patient in tab.locator("#worklist tr[aria-selected=true]").inner_text()
    )


def test_nothing_overlaps(tab: "Page") -> None:
    for width, height in ((1366, 768), (2560, 1440)):
        tab.set_viewport_size({"width": width, "height": height})
        boxes = [tab.locator(f"#chart-{name}").bounding_box() for name in ("roc", "pr", "scores", "workload")]
        for left, right in pairwise(boxes):
            assert left is not None
            assert right is not None
            assert left["x"] + left["width"] <= right["x"]
        assert tab.evaluate("document.querySelector('.bench-right').scrollWidth <= innerWidth")
        over = tab.evaluate(
            "document.querySelector('.bench-left').scrollWidth - document.querySelector('.bench-left').clientWidth"
        )
        assert over <= 0, "the controls stay in their column"


def test_own_cases_by_csv_and_by_hand(tab: "Page", server: AppServer) -> None:
    tab.get_by_label("Cases").select_option("own")
    tab.wait_for_selector("#threshold-problem:has-text('there is no breast whose truth is known')")
    assert "196 more positive" in tab.inner_text("#own-words")
    lines = ["study,laterality,cancer", "1.2.0,L,1", "9.9,L,1", "1.2.1,L,0", "1.2.1,L,0", "1.2.2,L,perhaps"]
    chosen = {"name": "list <b>.csv", "mimeType": "text/csv", "buffer": "\n".join(lines).encode()}
    tab.get_by_label("CSV file").set_input_files([chosen])
    tab.wait_for_function("document.querySelector('.as-csv textarea').value.includes('perhaps')")
    tab.get_by_role("button", name="Import").click()
    tab.wait_for_selector("#import-words:has-text('2 recorded, 3 refused.')")
    refused = tab.locator("#threshold-own .refused li").all_inner_texts()
    assert [text.split()[1] for text in refused] == ["3", "5", "6"]
    assert "'9.9' is not in the library" in refused[0]
    tab.wait_for_selector("#threshold-problem:has-text('only one patient is positive')")
    # The other two exams by hand: two of each class make figures.
    with server.opened() as library:
        studies = {line.patient_id: line.id for line in library.worklist()}
        assert library.outcomes.of_study(studies["P00"])["L"].source == "list <b>.csv"
    for patient, outcome in (("P02", "1"), ("P03", "0")):
        tab.get_by_label("Exam", exact=True).select_option(str(studies[patient]))
        tab.get_by_label("Breast", exact=True).select_option("L")
        tab.get_by_label("Outcome", exact=True).select_option(outcome)
        tab.get_by_role("button", name="Record").click()
        tab.wait_for_function(
            "(wanted) => document.querySelector('#own-words').textContent.startsWith(wanted)",
            arg=f"There are 2 positive and {1 if patient == 'P02' else 2} negative",
        )
    tab.wait_for_selector("#tile-sensitivity")
    assert "Measured on exams of this library" in tab.inner_text("#footing")
    tab.get_by_label("Cases").select_option("validation")
    tab.wait_for_function("document.querySelector('#footing').textContent.includes('validation scores')")
