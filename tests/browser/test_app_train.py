"""The Train tab in a real browser: from phantoms to a model that reads, through a stop, a kill and a new server."""

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from app_page import expect_end_of_server, open_app, view

from app_server import AppServer, app_server
from mammo_core.library import Library
from mammo_core.library.adding import add
from mammo_core.sandbox import DecodeSandbox
from mammo_train.jobs.store import Jobs
from mammo_train.run import read_status

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from conftest import PageLog

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(os.name != "posix", reason="sends SIGKILL"),
]

TINY = {
    "architecture.backbone": "resnet10t",
    "architecture.in_channels": "1",
    "weights": "none",
    "split.validation": "0.4",
    "phases.0.batch_size": "8",
    "phases.0.epochs": "80",
}
"""What makes a bundled recipe small enough for a test."""


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A library of one exam that nobody has read."""
    files = tmp_path / "files"
    files.mkdir()
    view(files / "0.dcm", "LCC", patient="P00", study="1.2.0")
    with Library(tmp_path / "library") as opened, DecodeSandbox() as sandbox:
        opened.set_demo_made()
        add(opened, [files], sandbox, progress=lambda _: None)
    return tmp_path / "library"


def opened(page: "Page", server: AppServer) -> None:
    open_app(page, server)
    page.locator("#tabs [role=tab]", has_text="Train").click()
    page.wait_for_selector("#timeline", timeout=90_000)


def wait_for_state(page: "Page", title: str, state: str) -> None:
    page.locator("#jobs button", has_text=title).locator(f".status:text-is('{state}')").wait_for(timeout=300_000)


def make_set(page: "Page") -> None:
    page.locator("#train-data summary", has_text="Make a set of phantoms").click()
    for name, value in (("name", "tiny"), ("studies", "24"), ("prevalence", "50"), ("size", "64x64")):
        page.fill(f"form[data-action=phantoms] input[name={name}]", value)
    page.get_by_role("button", name="Make", exact=True).click()
    wait_for_state(page, "Phantoms: tiny", "finished")
    page.locator("select[name=data] option", has_text="tiny").wait_for(state="attached", timeout=30_000)
    page.get_by_label("Prepared set").select_option(label="tiny")
    page.wait_for_selector("#set-facts:has-text('96 of 64 x 64 pixels')")


def edit(page: "Page", changes: dict[str, str]) -> None:
    for number in range(page.locator("#train-form details").count()):
        page.evaluate(f"document.querySelectorAll('#train-form details')[{number}].open = true")
    for name, value in changes.items():
        field = page.locator(f'#train-form [name="{name}"]')
        if field.evaluate("(control) => control.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)
            field.press("Tab")
        page.wait_for_timeout(300)


def epochs_shown(page: "Page") -> int:
    drawn = page.locator("#train-job #chart-loss .line.train")
    return len((drawn.get_attribute("data-x") or "").split()) if drawn.count() else 0


def wait_for_epochs(page: "Page", more_than: int) -> int:
    page.wait_for_function(
        "(count) => (document.querySelector('#train-job #chart-loss .line.train')?.dataset.x ?? '').split(' ').length"
        " > count",
        arg=more_than,
        timeout=120_000,
    )
    return epochs_shown(page)


def test_from_phantoms_to_a_model_that_reads(page: "Page", page_log: "PageLog", library: Path) -> None:
    expect_end_of_server(page_log)
    with app_server(library) as server:
        opened(page, server)
        make_set(page)
        page.get_by_label("Recipe", exact=True).select_option("single_stage")
        page.wait_for_function("document.querySelectorAll('#timeline li').length === 1")
        edit(page, {"phases.0.epochs": "0"})
        page.wait_for_selector('.entry.bad:has(input[name="phases.0.epochs"]) .wrong')
        page.get_by_role("button", name="Start", exact=True).click()
        page.wait_for_selector("#train-problem:has-text('1 field that is not right yet')")
        # A name that was typed outlives the form's changes, and is gone when the run was begun.
        page.get_by_label("Name of the run").fill("First <run>")
        edit(page, TINY)
        page.wait_for_selector("#timeline li[data-epochs='80']")
        page.get_by_role("button", name="Start", exact=True).click()
        wait_for_state(page, "First <run>", "running")
        assert page.get_by_label("Name of the run").input_value() == ""
        seen = wait_for_epochs(page, 2)
        # Another browser sees the same, and may stop it; loading this one anew loses nothing.
        other = page.context.browser.new_context().new_page()
        opened(other, server)
        other.locator("#jobs button", has_text="First <run>").click()
        wait_for_epochs(other, 2)
        page.wait_for_selector("#job-now dd:has-text('images/s')")
        other.context.close()
        page.reload()
        opened(page, server)
        page.locator("#jobs button", has_text="First <run>").click()
        assert wait_for_epochs(page, seen) > seen
        page.locator("#train-job").get_by_role("button", name="Stop").click()
        wait_for_state(page, "First <run>", "stopped")
        assert "asked to by a person" in (page.text_content("#train-job header") or "")
        page.locator("#train-job").get_by_role("button", name="Carry on").click()
        wait_for_state(page, "First <run>", "running")
        wait_for_epochs(page, epochs_shown(page))
    # The server is gone and the job goes on; killed as well, it is told apart and carried on.
    jobs = Jobs(library / "jobs")
    run = next(job for job in jobs.all() if job.record.title == "First <run>")
    if run.state == "running":
        status = read_status(run.folder)
        assert status is not None
        os.kill(status.pid, signal.SIGKILL)
        died = True
    else:
        died = False
    with app_server(library) as server:
        opened(page, server)
        page.locator("#jobs button", has_text="First <run>").click()
        if died:
            page.wait_for_selector("#train-job header:has-text('ended without a word')")
            page.locator("#train-job").get_by_role("button", name="Carry on").click()
        wait_for_state(page, "First <run>", "finished")
        assert wait_for_epochs(page, 79) == 80
        page.get_by_role("button", name="Runs", exact=True).click()
        page.get_by_label("Draw the curves of First <run>").check()
        page.wait_for_selector("#overlay-roc-auc .line.run0")
        with page.expect_popup() as report:
            page.get_by_role("link", name="Open the report").click()
        report.value.wait_for_selector("h2:has-text('At a glance')")
        report.value.close()
        page.get_by_role("button", name="Take into the models").click()
        page.get_by_role("button", name="Use this model").click(timeout=60_000)
        page.locator("#models-list button[aria-pressed=true]", has_text="single_stage").wait_for(timeout=60_000)
        page.get_by_label("Reason to use it").fill("It was trained here")
        page.get_by_role("button", name="Read with this model").click()
        page.wait_for_selector("#promotions .used:has-text('It was trained here')")
        page.locator("#tabs [role=tab]", has_text="Read").click()
        page.locator("#worklist tr", has_text="P00").click()
        page.wait_for_selector("#result dl.model:has-text('single_stage')", timeout=60_000)
    assert died, "the run ended before it could be killed: give it more epochs"


def test_a_comparison_is_edited_run_and_reported(page: "Page", page_log: "PageLog", library: Path) -> None:
    expect_end_of_server(page_log)
    with app_server(library) as server:
        opened(page, server)
        make_set(page)
        page.get_by_role("button", name="Compare recipes").click()
        page.wait_for_selector("#train-form summary:has-text('arm 1: single_stage')")
        while page.locator("#train-form summary", has_text="question").count():
            remove_first(page, "question")
        while page.locator("#train-form summary", has_text="arm ").count() > 1:
            remove_first(page, "arm ")
        overrides = '["architecture.backbone=resnet10t", "architecture.in_channels=1", "weights=none"]'
        edit(page, {"overrides": overrides, "budget.passes": "1", "seeds": "[0, 1]", "split.test": "0.25"})
        page.get_by_label("Name of the comparison").fill("One arm twice")
        page.get_by_role("button", name="Start", exact=True).click()
        wait_for_state(page, "One arm twice", "finished")
        assert page.locator("#sub-runs tbody tr").count() == 2
        with page.expect_popup() as report:
            page.get_by_role("link", name="Open the report").click()
        report.value.wait_for_selector("h1")
        report.value.close()


def remove_first(page: "Page", kind: str) -> None:
    group = page.locator("#train-form details", has=page.locator("summary", has_text=kind)).last
    title = group.locator("summary").first.inner_text()
    group.locator("summary").first.click()
    group.get_by_role("button", name="Remove").click()
    page.locator("#train-form summary", has_text=title).wait_for(state="detached")
