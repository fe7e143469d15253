"""Finished runs that a recipe in the form may begin with."""

from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from made_runs import GRAY, epoch, made_run, made_training
from mammo_gui.draft import Draft, draft_of, typed
from mammo_gui.starts import Start, is_own, starts_for
from mammo_gui.views.recipe import form_html
from mammo_train.jobs.asked import CompareAsked, TrainAsked
from mammo_train.jobs.store import Jobs
from mammo_train.recipe import Recipe, dump_recipe
from mammo_train.run import CHECKPOINT, RECIPE


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return Jobs(tmp_path / "jobs")


@pytest.fixture
def draft() -> Draft:
    return draft_of("recipe", dump_recipe(GRAY))


EPOCH = epoch(1, roc_auc=0.7125)


def network(backbone: str = "resnet10t", channels: int = 1) -> Recipe:
    """A recipe of another network."""
    changes = {"backbone": backbone, "in_channels": channels}
    return GRAY.model_copy(update={"architecture": GRAY.architecture.model_copy(update=changes)})


def titles(draft: Draft, jobs: Jobs) -> list[str]:
    return [start.title for start in starts_for(draft, jobs.all())]


def test_finished_runs_with_the_backbone_of_the_recipe_are_offered(jobs: Jobs, draft: Draft) -> None:
    first = made_training(jobs, "First", GRAY, [EPOCH])
    made_training(jobs, "Another network", network(backbone="resnet18"))
    made_training(jobs, "In colour", network(channels=3))
    assert starts_for(draft, jobs.all())[-1] == Start(first.run / CHECKPOINT, "First", 0.7125)
    assert titles(draft, jobs) == ["In colour", "First"]
    in_colour = typed(draft, "architecture.in_channels", "3")
    assert titles(in_colour, jobs) == ["In colour"], "gray weights are no colours"
    assert titles(typed(draft, "phases.0.epochs", "0"), jobs) == ["In colour", "First"], "it need not be right yet"


def test_what_has_not_come_to_its_end_is_not_offered(jobs: Jobs, draft: Draft) -> None:
    jobs.add("Waits", TrainAsked(data="/set", recipe=dump_recipe(GRAY)))
    (made_training(jobs, "Lost").run / CHECKPOINT).unlink()
    (made_training(jobs, "Damaged").run / RECIPE).write_text("architecture = [")
    job = made_training(jobs, "Stopped", stopped="asked to by a person")
    (job.run / CHECKPOINT).write_bytes(b"of an earlier time")
    assert titles(draft, jobs) == []


def test_the_runs_of_a_comparison_are_offered_by_their_names(jobs: Jobs, draft: Draft) -> None:
    job = jobs.add("Study", CompareAsked(data="/set", plan=""))
    for name in ("a-seed0", "b-seed0"):
        made_run(job.run / "runs" / name)
    (job.run / "runs" / "c-seed0").mkdir()
    assert titles(draft, jobs) == ["Study: b-seed0", "Study: a-seed0"]
    assert all(is_own(str(start.file), jobs.folder) for start in starts_for(draft, jobs.all()))
    assert not is_own(str(job.run / "runs" / "a-seed0" / RECIPE), jobs.folder)
    assert not is_own("/etc/passwd\0", jobs.folder)


def test_a_run_is_chosen_beside_typing_a_path(draft: Draft) -> None:
    starts = (Start(Path("/jobs/1/run/c.safetensors"), "A <run>", 0.7125), Start(Path("/jobs/2/c"), "Other", None))
    assert "weights-of-run" not in form_html(draft, (), ())
    html = unescape(form_html(draft, (), starts))
    assert 'value="/jobs/1/run/c.safetensors">A <run>, ROC-AUC 0.713</option>' in html
    assert 'value="/jobs/2/c">Other</option>' in html
    assert '<option value="" disabled selected>or a finished run ...</option>' in html
    chosen = replace(draft, fields={**draft.fields, "weights": "/jobs/2/c"})
    html = form_html(chosen, (), starts)
    assert 'value="/jobs/2/c" selected' in html
    assert 'name="weights"' in html, "and can still be typed"
