"""The Train tab's runs in a real browser: found, sorted, tagged, laid over one another, begun with, and watched."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from app_page import open_app

from app_server import AppServer, app_server
from made_runs import GRAY, epoch, made_training
from mammo_core.library import Library
from mammo_train.jobs.asked import PhantomAsked
from mammo_train.jobs.store import JOB, OUTPUT, Jobs
from mammo_train.memory import GpuMemory, Memory
from mammo_train.progress_file import PROGRESS, Pace, Progressed, Step
from mammo_train.run import CHECKPOINT, STATUS, read_status, write_status

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.browser

GIB = 1 << 30
NOWHERE = "http://127.0.0.1:9"
CURVES = {"Alpha": (0.60, 0.30, 90.0), "Beta": (0.80, 0.20, 30.0), "Gamma": (0.70, 0.10, 60.0)}
"""Name of a run -> ROC-AUC and PR-AUC of its second epoch, the best, and seconds of each epoch."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    """The app on a library of three runs, the last of them stopped."""
    folder = tmp_path_factory.mktemp("runs") / "library"
    with Library(folder) as library:
        library.set_demo_made()
    jobs = Jobs(folder / "jobs")
    jobs.run_at_once(0)
    for name, (roc_auc, pr_auc, seconds) in CURVES.items():
        events = [
            epoch(n, roc_auc=roc_auc - 0.1 * (2 - n), pr_auc=pr_auc, validation_loss=1 / n, seconds=n * seconds)
            for n in (1, 2)
        ]
        made_training(jobs, name, GRAY, events, stopped="asked to by a person" if name == "Gamma" else "")
    with app_server(folder) as started:
        yield started


@pytest.fixture
def train(server: AppServer, page: "Page") -> "Page":
    """The Train tab."""
    open_app(page, server)
    page.locator("#tabs [role=tab]", has_text="Train").click()
    page.wait_for_selector("#timeline", timeout=90_000)
    return page


@pytest.fixture
def runs(train: "Page") -> "Page":
    """The table of runs."""
    train.get_by_role("button", name="Runs", exact=True).click()
    train.wait_for_selector("#runs tbody tr")
    return train


def names(page: "Page") -> "Locator":
    return page.locator("#runs td:nth-child(2) button")


def wait_for_names(page: "Page", *wanted: str) -> None:
    page.wait_for_function(
        "(wanted) => JSON.stringify([...document.querySelectorAll('#runs td:nth-child(2) button')]"
        ".map((button) => button.textContent)) === JSON.stringify(wanted)",
        arg=list(wanted),
    )


def search(page: "Page", words: str) -> None:
    page.fill("#train-runs input[name=words]", words)
    page.press("#train-runs input[name=words]", "Tab")


def test_runs_are_searched_by_name_state_and_tag(runs: "Page", server: AppServer) -> None:
    wait_for_names(runs, "Gamma", "Beta", "Alpha")
    search(runs, "alp")
    wait_for_names(runs, "Alpha")
    search(runs, "stopped")
    wait_for_names(runs, "Gamma")
    # What is looked for stays as it was while the page follows the jobs.
    runs.wait_for_timeout(2500)
    assert runs.input_value("#train-runs input[name=words]") == "stopped"
    search(runs, "no such run")
    wait_for_names(runs)
    search(runs, "")
    names(runs).get_by_text("Beta").click()
    runs.locator("#train-job h2", has_text="Beta").wait_for()
    runs.get_by_label("Tags").fill("baseline, <b>bold</b>")
    runs.get_by_role("button", name="Keep", exact=True).click()
    runs.locator("#runs tr", has_text="Beta").locator(".tag").nth(1).wait_for()
    assert runs.locator("#runs .tag").all_inner_texts() == ["baseline", "<b>bold</b>"]
    search(runs, "BASELINE finished")
    wait_for_names(runs, "Beta")
    search(runs, "baseline stopped")
    wait_for_names(runs)
    tags = {job.record.title: job.record.tags for job in Jobs(server.library / "jobs").all()}
    assert tags == {"Alpha": (), "Beta": ("baseline", "<b>bold</b>"), "Gamma": ()}


def test_runs_are_sorted_by_a_column_and_the_other_way_round(runs: "Page") -> None:
    head = runs.locator("#runs thead")
    for column, order in (
        ("ROC-AUC", ("Beta", "Gamma", "Alpha")),
        ("PR-AUC", ("Alpha", "Beta", "Gamma")),
        ("Minutes", ("Alpha", "Gamma", "Beta")),
    ):
        head.get_by_role("button", name=column, exact=True).click()
        wait_for_names(runs, *order)
        head.get_by_role("button", name=f"{column} ▼", exact=True).click()
        wait_for_names(runs, *reversed(order))


def test_several_runs_are_laid_over_one_another_by_epoch_and_by_seconds(runs: "Page") -> None:
    def drawn() -> list[str | None]:
        lines = runs.locator("#overlay-roc-auc .line")
        return [lines.nth(number).get_attribute("data-x") for number in range(lines.count())]

    for name in ("Alpha", "Beta"):
        runs.get_by_label(f"Draw the curves of {name}").check()
        runs.locator("#overlay-roc-auc").get_by_text(name).wait_for()
    assert drawn() == ["1 2", "1 2"]
    runs.get_by_label("Curves by").select_option("seconds")
    runs.wait_for_selector("#overlay-roc-auc .line[data-x='30 60']")
    assert sorted(filter(None, drawn())) == ["30 60", "90 180"]
    runs.get_by_label("Draw the curves of Alpha").uncheck()
    runs.wait_for_function("document.querySelectorAll('#overlay-roc-auc .line').length === 1")
    assert drawn() == ["30 60"]


def test_a_recipe_begins_with_the_backbone_of_a_finished_run(runs: "Page", server: AppServer) -> None:
    names(runs).get_by_text("Alpha").click()
    runs.locator("#train-job").get_by_role("button", name="Edit a copy").click()
    runs.locator("#train-form summary", has_text="network, weights").click()
    choice = runs.get_by_label("Begin with the backbone of a finished run")
    listed = choice.locator("option").all_inner_texts()
    assert listed == ["or a finished run ...", "Beta, ROC-AUC 0.800", "Alpha, ROC-AUC 0.600"]
    choice.select_option(label="Beta, ROC-AUC 0.800")
    beta = next(job for job in Jobs(server.library / "jobs").all() if job.record.title == "Beta")
    file = str(beta.run / CHECKPOINT)
    runs.wait_for_function("(file) => document.querySelector('#train-form [name=weights]').value === file", arg=file)
    assert choice.input_value() == file
    runs.locator("#train-phases summary", has_text="The same in a terminal").click()
    assert f'weights = "{file}"' in runs.inner_text("#train-phases pre")


def test_time_left_and_memory_are_said_of_what_runs(train: "Page", server: AppServer) -> None:
    jobs = Jobs(server.library / "jobs")
    gpu = GpuMemory(used=12 * GIB, peak=3 * GIB, total=80 * GIB)
    held = Memory(resident=2 * GIB, peak=4 * GIB, total=24 * GIB, gpu=gpu, processes=2)
    job = made_training(jobs, "On a cluster", GRAY, [epoch(1, memory=held.model_dump())], stopped="x")
    (job.folder / JOB).write_text(job.record.model_copy(update={"cluster": NOWHERE}).model_dump_json())
    write_status(job.folder, "running", "")
    train.locator("#jobs button", has_text="On a cluster").click()
    told = "2.0 of 24 GiB, at most 4.0; GPU 12 of 80 GiB, at most 3.0 for its own tensors; of the first of 2 processes"
    train.locator("#job-now dd", has_text=told).wait_for()
    write_status(job.folder, "stopped", "")

    counted = jobs.add("Many phantoms", PhantomAsked(out="/nowhere"))
    write_status(counted.folder, "running", "")
    # 3 of 9 in a quarter of an hour, one of them from before; nothing was done for so long that one more is due.
    pace = Pace(begun=1, seconds=900, changed=0)
    step = Step(what="phantom exams", done=3, total=9, pace=pace)
    (counted.folder / PROGRESS).write_text(Progressed(steps=(step,)).model_dump_json())
    train.locator("#jobs button", has_text="Many phantoms").click()
    train.locator("#job-now dd", has_text="about 38 min").wait_for()
    train.locator("#job-now dd", has_text="phantom exams, 3 of 9").wait_for()
    write_status(counted.folder, "stopped", "")


def test_a_job_from_before_the_machine_was_started_anew_is_shown_as_died_and_carried_on(
    train: "Page", server: AppServer
) -> None:
    jobs = Jobs(server.library / "jobs")
    job = made_training(jobs, "Before", GRAY, [epoch(1)], stopped="x")
    (job.folder / OUTPUT).write_text("epoch   1 all: loss 0.6931\nits last line\n", encoding="utf-8")
    # Its number is that of a process which lives.
    write_status(job.folder, "running", "")
    status = read_status(job.folder)
    assert status is not None
    (job.folder / STATUS).write_text(status.model_copy(update={"boot": "an earlier one"}).model_dump_json())
    train.locator("#jobs button", has_text="Before").locator(".status:text-is('died')").wait_for()
    train.locator("#jobs button", has_text="Before").click()
    train.locator("#train-job header", has_text="The machine was switched off or started anew while it ran.").wait_for()
    assert train.locator("#job-output").inner_text().splitlines()[-1] == "its last line"
    train.locator("#train-job").get_by_role("button", name="Carry on").click()
    train.locator("#jobs button", has_text="Before").locator(".status:text-is('waiting')").wait_for()
    jobs.stop(job.id)
