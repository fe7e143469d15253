"""The Train tab without a browser: sets in allowed folders, what phases would see, runs that are queued and adopted."""

from pathlib import Path

import pytest

from mammo_core.errors import InputError
from mammo_core.library import Library
from mammo_gui.recipe_form import draft_of, typed
from mammo_gui.training import Desk, Training
from mammo_gui.views.training import data_html, job_html, jobs_html
from mammo_train.fit import fit
from mammo_train.jobs.asked import TrainAsked
from mammo_train.jobs.store import Jobs, say
from mammo_train.recipe import dump_recipe
from mammo_train.run import RECIPE
from mammo_train.split import make_split
from tiny_set import phase, tiny_recipe, tiny_set

RECIPE_OF_TWO = tiny_recipe(
    phase("warm", subset={"kind": "balanced_groups"}), phase("all"), split={"validation": 0.5, "test": 0.0}
)


@pytest.fixture
def training(tmp_path: Path):
    tiny_set(tmp_path / "allowed" / "deep" / "tiny")
    with Library(tmp_path / "library") as library:
        yield Training(library, Jobs(library.folder / "jobs"), [tmp_path / "allowed"])


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(data=str(tmp_path / "allowed" / "deep" / "tiny"), draft=draft_of(dump_recipe(RECIPE_OF_TWO)))


def test_only_sets_below_allowed_folders_are_there(training: Training, desk: Desk, tmp_path: Path) -> None:
    tiny_set(tmp_path / "elsewhere")
    assert training.sets() == (Path(desk.data),)
    for outside in (str(tmp_path / "elsewhere"), f"{desk.data}/../../../elsewhere", "/etc", ""):
        with pytest.raises(InputError, match="choose a prepared set first"):
            training.start(Desk(data=outside, draft=desk.draft), "x")
        assert training.screen(Desk(data=outside, draft=desk.draft)).facts is None


def test_a_set_is_summed_up_and_the_phases_count_what_they_would_see(training: Training, desk: Desk) -> None:
    screen = training.screen(desk)
    facts = screen.facts
    assert facts is not None
    assert (facts.images, facts.breasts, facts.patients, facts.positives) == (32, 16, 16, 8)
    assert (facts.views, facts.size, facts.ages_missing) == ((("CC", 16), ("MLO", 16)), "64 x 64", 32)
    assert [(phase.images, phase.positives) for phase in screen.phases] == [(16, 8), (16, 8)]
    assert "16, 8 with a cancer (50.0%)" in data_html(screen)
    broken = training.screen(Desk(data=desk.data, draft=typed(desk.draft, "phases.0.epochs", "0")))
    assert broken.phases == ()


def test_a_run_is_queued_with_the_recipe_as_it_was_edited(training: Training, desk: Desk) -> None:
    edited = Desk(data=desk.data, draft=typed(desk.draft, "phases.1.epochs", "5"))
    job = training.start(edited, " My <run> ")
    assert isinstance(job.record.asked, TrainAsked)
    assert 'name = "all"\n' in job.record.asked.recipe
    assert (job.folder / RECIPE).read_text(encoding="utf-8") == job.record.asked.recipe
    html = job_html(training.screen(Desk(data=desk.data, draft=desk.draft, job=job.id)))
    assert "My &lt;run&gt;" in html
    assert "waits for its turn" in html
    assert f"mammo train {job.folder / RECIPE} {desk.data}" in html
    assert training.cloned(Desk(), job.id).draft.recipe == edited.draft.recipe
    with pytest.raises(InputError, match="recipe: has 1 field that is not right yet"):
        training.start(Desk(data=desk.data, draft=typed(desk.draft, "phases.1.epochs", "-5")), "x")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "../up"}, "name: '../up': letters, digits"),
        ({"studies": 0}, "studies: 0: Input should be greater than or equal to 1"),
        ({"size": "big"}, "size: 'big'"),
        ({"prevalence": 2.0}, "prevalence: 2.0"),
    ],
)
def test_what_no_set_of_phantoms_can_be_is_said(training: Training, changes: dict[str, object], words: str) -> None:
    asked = {"name": "a", "studies": 2, "seed": 1, "prevalence": 0.5, "size": "64x64"} | changes
    with pytest.raises(InputError, match=words.replace("(", r"\(")):
        training.make_phantoms(**asked)
    assert training.jobs.all() == ()


def test_curves_states_and_the_checkpoint_of_a_run(training: Training, desk: Desk) -> None:
    job = training.start(desk, "A run")
    with pytest.raises(InputError, match="A run: has no checkpoint yet"):
        training.adopt(job.id)
    data = training._data(Path(desk.data))
    fit(RECIPE_OF_TWO, data, make_split(data.table, RECIPE_OF_TWO.split), job.run)
    screen = training.screen(Desk(data=desk.data, draft=desk.draft, job=job.id))
    assert [epoch.epoch for epoch in screen.epochs] == [1, 2, 3, 4]
    html = job_html(screen)
    assert "Epoch 4 of 4, phase all" in html
    assert 'id="chart-loss"' in html
    entry = training.adopt(job.id)
    assert (entry.origin, entry.name) == ("trained", "tiny")
    assert (entry.evidence / "log.jsonl").is_file()
    say(job.folder, "failed", "disk: is full: free some space, then carry the job on")
    screen = training.screen(Desk(data=desk.data, draft=desk.draft, job=job.id))
    assert "disk: is full" in job_html(screen)
    assert 'data-action="resume"' in job_html(screen)
    assert "failed" in jobs_html(screen)
