"""The Train tab without a browser: sets in allowed folders, what phases would see, runs that are queued and adopted."""

import json
from dataclasses import replace
from html import escape
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mammo_core.errors import InputError
from mammo_core.library import Library
from mammo_gui.draft import draft_of, typed
from mammo_gui.tabs.train import Answers
from mammo_gui.training import Desk, Training
from mammo_gui.views.data import data_html
from mammo_gui.views.recipe import terminal_html
from mammo_gui.views.runs import runs_html
from mammo_gui.views.training import job_html, jobs_html
from mammo_train.cli import app
from mammo_train.fit import fit
from mammo_train.jobs.asked import CompareAsked, TrainAsked
from mammo_train.jobs.store import Jobs
from mammo_train.plan import dump_plan, load_plan
from mammo_train.recipe import dump_recipe
from mammo_train.run import CHECKPOINT, RECIPE, STATUS, read_status, write_status
from mammo_train.split import make_split
from mammo_train.toml_settings import write_toml
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
    return Desk(data=str(tmp_path / "allowed" / "deep" / "tiny"), draft=draft_of("recipe", dump_recipe(RECIPE_OF_TWO)))


def test_only_sets_below_allowed_folders_are_there(training: Training, desk: Desk, tmp_path: Path) -> None:
    tiny_set(tmp_path / "elsewhere")
    assert training.sets.all() == (Path(desk.data),)
    for outside in (str(tmp_path / "elsewhere"), f"{desk.data}/../../../elsewhere", "/etc", ""):
        with pytest.raises(InputError, match="choose a prepared set first"):
            training.start(Desk(data=outside, draft=desk.draft), "x")
        assert training.screen(Desk(data=outside, draft=desk.draft)).facts is None


def test_a_set_is_summed_up_and_the_phases_count_what_they_would_see(training: Training, desk: Desk) -> None:
    screen = training.screen(desk)
    facts = screen.facts
    assert facts is not None
    assert (facts.images, facts.breasts, facts.patients, facts.positives) == (32, 16, 16, 8)
    assert dict(facts.missing) == {"age": 32, "density": 32, "implant": 32, "site_id": 32, "machine_id": 32}
    assert (facts.views, facts.size) == ((("CC", 16), ("MLO", 16)), "64 x 64")
    assert [(phase.images, phase.positives) for phase in screen.phases] == [(16, 8), (16, 8)]
    assert "16, 8 with a cancer (50.0%)" in data_html(screen)
    broken = training.screen(Desk(data=desk.data, draft=typed(desk.draft, "phases.0.epochs", "0")))
    assert broken.phases == ()


def test_a_file_that_divides_a_set_is_read_only_where_that_is_allowed(
    training: Training, desk: Desk, tmp_path: Path
) -> None:
    parts = "".join(f"p{n:03d},{('train', 'validation')[n % 4 > 1]}\n" for n in range(16))
    for folder in (tmp_path / "allowed", tmp_path):
        (folder / "parts.csv").write_text("patient_id,part\n" + parts)
        named = replace(desk, draft=typed(desk.draft, "split.file", str(folder / "parts.csv")))
        screen = training.screen(named)
        assert bool(screen.phases) == bool(screen.facts.parts) == (folder != tmp_path)
    with pytest.raises(InputError, match="is not below a folder that is allowed"):
        training.start(named, "x")


def test_the_command_line_of_what_is_edited_is_shown(training: Training, desk: Desk) -> None:
    kept = training.recipes.draft("warmup_then_full")
    shown = terminal_html(training.screen(replace(desk, draft=kept)))
    assert f"mammo train warmup_then_full {desk.data} RUN" in shown
    edited = typed(kept, "phases.0.epochs", "3")
    shown = terminal_html(training.screen(replace(desk, draft=edited)))
    assert f"mammo train recipe.toml {desk.data} RUN" in shown
    assert escape(write_toml(edited.recipe)) in shown
    assert terminal_html(training.screen(replace(desk, draft=typed(kept, "phases.0.epochs", "x")))) == ""
    saved = training.save(replace(desk, draft=edited), "mine")
    assert str(training.recipes.file("mine")) in terminal_html(training.screen(saved))
    assert f"mammo compare study {desk.data} OUT" in terminal_html(training.screen(replace(desk, mode="compare")))


def test_a_run_is_queued_with_the_recipe_as_it_was_edited(training: Training, desk: Desk) -> None:
    edited = Desk(data=desk.data, draft=typed(desk.draft, "phases.1.epochs", "5"))
    job = training.start(edited, " My <run> ")
    assert isinstance(job.record.asked, TrainAsked)
    assert 'name = "all"\n' in job.record.asked.recipe
    assert (job.folder / RECIPE).read_text(encoding="utf-8") == job.record.asked.recipe
    html = job_html(training.screen(Desk(data=desk.data, draft=desk.draft, job=job.id)))
    assert "My &lt;run&gt;" in html
    assert "Waits for its turn." in html
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
    data = training.sets.open(desk.data)
    fit(RECIPE_OF_TWO, data, make_split(data.table, RECIPE_OF_TWO.split), job.run)
    write_status(job.folder, "running", "")
    screen = training.screen(Desk(data=desk.data, draft=desk.draft, job=job.id))
    assert [epoch.epoch for epoch in screen.epochs] == [1, 2, 3, 4]
    html = job_html(screen)
    assert "Epoch 4 of 4, phase all" in html
    assert 'id="chart-loss"' in html
    entry = training.adopt(job.id)
    # Another run may begin with its backbone, but with no other file of the library.
    asked = training.start(replace(desk, draft=typed(desk.draft, "weights", str(job.run / CHECKPOINT))), "next").record
    assert f'weights = "{job.run / CHECKPOINT}"' in asked.asked.recipe
    with pytest.raises(InputError, match="is not below a folder that is allowed"):
        training.start(replace(desk, draft=typed(desk.draft, "weights", str(job.run / RECIPE))), "next")
    assert (entry.origin, entry.name) == ("trained", "tiny")
    assert (entry.evidence / "log.jsonl").is_file()
    finished = read_status(job.run).model_copy(update={"state": "finished"})
    (job.folder / STATUS).write_text(finished.model_dump_json())
    assert f'data-opens="{entry.sha256}"' in job_html(training.screen(replace(desk, job=job.id)))
    write_status(job.folder, "failed", "disk: is full: free some space, then carry the job on")
    screen = training.screen(Desk(data=desk.data, draft=desk.draft, job=job.id))
    assert "disk: is full" in job_html(screen)
    assert 'data-action="resume"' in job_html(screen)
    assert "failed" in jobs_html(screen)


def plan_desk(desk: Desk) -> Desk:
    """A comparison of two arms that a test can afford."""
    plan = load_plan("study", ("budget.passes=1", "seeds=[0]", "split.validation=0.25", "split.test=0.25"))
    arms = tuple(arm.model_copy(update={"recipe": "small"}) for arm in plan.arms[:2])
    two = plan.model_copy(update={"arms": arms, "questions": plan.questions[:1]})
    return replace(desk, mode="compare", plan=draft_of("plan", dump_plan(two)))


def test_a_recipe_is_saved_compared_and_deleted(training: Training, desk: Desk) -> None:
    with pytest.raises(InputError, match="'small' is not one of"):
        training.start(plan_desk(desk), "x")
    saved = training.save(desk, "small")
    assert training.screen(saved).saved == ("small",)
    assert training.recipes.draft("small").recipe == RECIPE_OF_TWO
    for name, words in (("small", "is taken"), ("single_stage", "is taken"), ("../x", "letters, digits")):
        with pytest.raises(InputError, match=words):
            training.save(desk, name)
    job = training.start(plan_desk(desk), "Two arms")
    assert isinstance(job.record.asked, CompareAsked)
    assert [arm.recipe for arm in load_plan(job.folder / "plan.toml").arms] == [training.recipes.file("small")] * 2
    assert training.cloned(Desk(), job.id).mode == "compare"
    training.recipes.delete("small")
    with pytest.raises(InputError, match="was not saved here"):
        training.recipes.delete("small")


def test_files_outside_allowed_folders_are_refused(training: Training, desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(b"x")
    (tmp_path / "allowed" / "split.csv").write_text("patient_id,part")
    (tmp_path / "allowed" / "link").symlink_to(tmp_path)
    outside = (str(tmp_path / "weights.safetensors"), f"{tmp_path}/allowed/../weights.safetensors", "/nothing", "a\0b")
    for path in (*outside, f"{tmp_path}/allowed/link/weights.safetensors"):
        for field in ("weights", "split.file"):
            with pytest.raises(InputError, match="not below a folder that is allowed"):
                training.start(replace(desk, draft=typed(desk.draft, field, path)), "x")
        with pytest.raises(InputError, match="not below a folder that is allowed"):
            training.prepare("a", "rsna", path, "64x64", 8)
        with pytest.raises(InputError, match="not below a folder that is allowed"):
            training.sets.register(path)
    inside = str(tmp_path / "allowed" / "split.csv")
    assert training.start(replace(desk, draft=typed(desk.draft, "split.file", inside)), "x").state == "waiting"
    training.save(desk, "small")
    other = typed(plan_desk(desk).plan, "arms.1.overrides", json.dumps([f"weights={outside[0]}"]))
    with pytest.raises(InputError, match="not below a folder that is allowed"):
        training.start(replace(plan_desk(desk), plan=other), "x")


def test_sets_are_registered_shown_and_prepared(training: Training, desk: Desk, tmp_path: Path) -> None:
    deep = tmp_path / "allowed" / "a" / "b" / "c" / "d"
    tiny_set(deep)
    assert deep not in training.sets.all()
    with pytest.raises(InputError, match="holds no prepared set"):
        training.sets.register(str(deep.parent))
    training.sets.register(str(deep))
    assert deep in training.sets.all()
    screen = training.screen(desk)
    assert screen.facts is not None
    assert [(part.part, part.patients, part.positives) for part in screen.facts.parts] == [
        ("train", 8, 4),
        ("validation", 8, 4),
    ]
    for row in screen.facts.pictures:
        assert training.sets.picture(desk.data, row).startswith(b"\x89PNG")
    with pytest.raises(InputError, match="is not there"):
        training.sets.picture(str(tmp_path), 0)
    job = training.prepare("new", "folder", str(deep), "64x48", 16)
    assert job.command[1:4] == ("prepare", "folder", str(deep))
    with pytest.raises(InputError, match="source"):
        training.prepare("new", "ddsm", str(deep), "64x48", 16)


def test_the_table_of_runs_is_sorted_searched_and_overlaid(training: Training, desk: Desk) -> None:
    jobs = [training.start(desk, name) for name in ("Beta", "Alpha")]
    for number, job in enumerate(jobs):
        lines = [
            {"event": "epoch", "phase": "warm", "epoch": n, "roc_auc": 0.6 + 0.1 * number, "validation_loss": 1 / n}
            | {"seconds": 10.0 * n, "images_per_s": 5.0, "learning_rates": {"stem": 0.001, "head": 0.01 / n}}
            | {"pr_auc": 0.1 * n, "best": n == 1}
            for n in (1, 2)
        ]
        job.run.mkdir()
        (job.run / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    training.jobs.describe(jobs[0].id, "Beta", ("first",))
    runs = replace(desk, mode="runs")

    def names(**changes: object) -> list[str]:
        return [run.job.record.title for run in training.screen(replace(runs, **changes)).runs]

    assert names() == ["Alpha", "Beta"], "the newest first"
    assert names(sort="name", rising=True) == ["Alpha", "Beta"]
    assert names(sort="roc_auc", rising=True) == ["Beta", "Alpha"]
    assert names(words="FIRST wait") == ["Beta"]
    html = runs_html(training.screen(replace(runs, overlay=tuple(job.id for job in jobs), by="seconds")))
    assert html.count('data-x="10 20"') == 6
    assert "0.700" in html
    assert "0.100" in html, "of the epoch that the checkpoint is of, not of the highest figure"
    shown = job_html(training.screen(replace(desk, job=jobs[0].id)))
    assert "5.0 images/s" in shown
    assert "stem 0.001, head 0.005" in shown
    assert 'data-y="1 0.5"' in shown, "the head's rate in hundredths"
    assert 'value="first"' in shown


def test_the_time_of_a_recipe_is_measured_as_a_job(training: Training, desk: Desk) -> None:
    job = training.estimate(desk)
    assert training.screen(desk).phases[0].seconds is None
    assert CliRunner().invoke(app, list(job.command[1:])).exit_code == 0
    write_status(job.folder, "running", "")
    status = read_status(job.folder).model_copy(update={"state": "finished"})
    (job.folder / STATUS).write_text(status.model_dump_json())
    assert all(phase.seconds > 0 for phase in training.screen(desk).phases)
    assert "s here" in "".join(map(str, Answers(training).tick(desk))), "without anything being edited"
    other = replace(desk, draft=typed(desk.draft, "phases.0.epochs", "9"))
    assert training.screen(other).phases[0].seconds is None, "it was measured for another recipe"


def test_new_jobs_run_on_the_cluster_that_is_named(training: Training, desk: Desk) -> None:
    pytest.importorskip("ray")
    training.jobs.run_on("http://127.0.0.1:8265", 4)
    job = training.start(desk, "There")
    assert (job.record.cluster, job.record.workers) == ("http://127.0.0.1:8265", 4)
    shown = job_html(training.screen(replace(desk, job=job.id)))
    assert "http://127.0.0.1:8265, 4 processes" in shown
    assert training.estimate(desk).record.cluster == "", "what is measured here says nothing of the cluster"
    training.jobs.run_on("", 4)
    assert training.start(desk, "Here").record.cluster == ""
    with pytest.raises(InputError, match="processes: 0 is not among 1 to 1024"):
        training.jobs.run_on("", 0)


def test_how_many_run_at_once_is_kept(training: Training) -> None:
    assert training.jobs.at_once() == 1
    training.jobs.run_at_once(3)
    assert Jobs(training.jobs.folder).at_once() == 3
    with pytest.raises(InputError, match="65 is not among 0 to 64"):
        training.jobs.run_at_once(65)
