"""A whole comparison on a tiny set: equal budgets, no run made twice, the report self-contained."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner

import mammo_train.compare as module
from mammo_core.checkpoint import load_checkpoint, model_of
from mammo_core.errors import InputError
from mammo_core.files import write_atomic
from mammo_core.inputs import InputSettings
from mammo_core.metrics import roc_auc
from mammo_core.phases import Augmentation
from mammo_train.augment import varied
from mammo_train.commands.compare import compare as command
from mammo_train.compare import RUNS_TOLD, compare, trials
from mammo_train.dataset import as_input
from mammo_train.held_out import HELD_OUT
from mammo_train.plan import load_plan
from mammo_train.prepared_picture import picture_png
from mammo_train.prepared_set import Record, open_prepared, write_record
from mammo_train.shelf import Page
from mammo_train.split import make_split
from mammo_train.table import table_csv

ONE = """
name = "one"
weights = "none"
normalisation = "breast"
calibration = false
[architecture]
backbone = "test_resnet"
in_channels = 1
[[phases]]
name = "full"
epochs = 4
batch_size = 16
learning_rate = 0.003
"""
WARMED = ONE.replace('"one"', '"warmed"').replace(
    "[[phases]]",
    """[[phases]]
name = "warmup"
subset = { kind = "balanced_groups" }
trained = 1
epochs = 2
batch_size = 16
learning_rate = 0.01
[[phases]]""",
)
PLAN = """
name = "tiny"
seeds = [0, 1]
target_auc = 0.55
prevalence = 0.1
draws = 100
[budget]
passes = 4
[split]
validation = 0.3
test = 0.3
[[arms]]
name = "one"
recipe = "ONE"
[[arms]]
name = "warmed"
recipe = "WARMED"
[[questions]]
a = "warmed"
b = "one"
about = "Does a warm-up help?"
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """40 patients with two breasts of one 64 x 64 image each; a cancer is a darker square in noise."""
    folder = tmp_path_factory.mktemp("set")
    random = np.random.default_rng(0)
    rows = []
    for patient in range(40):
        for side in "LR":
            cancer = patient % 2 == 0 and side == "L"
            picture = random.integers(0, 120, (64, 64)).astype(np.uint8)
            if cancer:
                picture[26:38, 26:38] //= 2
            name = f"images/{patient}{side}.png"
            write_atomic(folder / name, picture_png(picture))
            row = {"image_id": f"{patient}{side}", "patient_id": f"p{patient}", "laterality": side, "view": "CC"}
            rows.append({**row, "cancer": str(int(cancer)), "file": name, "source": "made"})
    write_atomic(folder / "table.csv", table_csv(rows))
    inputs = InputSettings(height=64, width=64, mean=(0.0,), std=(1.0,))
    write_record(folder, Record(source="made", inputs=inputs, counts={"images": 80}))
    return open_prepared(folder)


@pytest.fixture(scope="module")
def plan_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plan")
    for name, text in (("ONE", ONE), ("WARMED", WARMED)):
        (folder / f"{name}.toml").write_text(text)
        folder.joinpath("plan.toml").write_text(
            PLAN.replace('"ONE"', f'"{folder}/ONE.toml"').replace('"WARMED"', f'"{folder}/WARMED.toml"')
        )
    return folder / "plan.toml"


def quiet(*_told: object) -> None:
    pass


@pytest.fixture(scope="module")
def done(data, plan_file, tmp_path_factory):
    """The comparison, made once: its folder and what it returned."""
    out = tmp_path_factory.mktemp("out")
    return out, compare(load_plan(plan_file), data, out, tell=quiet, note=quiet)


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_arm_is_trained_with_every_seed_within_the_budget(done, data, plan_file):
    _out, found = done
    assert [(run.arm, run.seed) for run in found.runs] == [("one", 0), ("warmed", 0), ("one", 1), ("warmed", 1)]
    learning = len(trials(load_plan(plan_file), data)[0].split.rows(data.table, "train"))
    for run in found.runs:
        assert abs(run.images - 4 * learning) <= learning / 2
        assert run.curve.images[-1] == run.images
        assert run.epochs == len(run.curve.phases)
    # The arm that warms up gets fewer passes over the whole part.
    epochs = {run.arm: run.curve.phases.count("full") for run in found.runs}
    assert epochs["warmed"] < epochs["one"] == 4


def test_figures_are_those_of_the_scores_on_disk(done, data):
    out, found = done
    run = found.runs[1]
    scores = lines(out / run.folder / HELD_OUT)
    cancer = dict(zip(data.table["image_id"], data.table["cancer"], strict=True))
    # One image a breast.
    labels = np.array([cancer[line["image_id"]] for line in scores])
    values = np.array([float(line["score"]) for line in scores])
    assert run.held_out_roc_auc == pytest.approx(roc_auc(values, labels))
    arm = next(arm for arm in found.arms if arm.name == "warmed")
    mean = np.mean([one.held_out_roc_auc for one in found.runs if one.arm == "warmed"])
    assert arm.figures["roc_auc"].value == pytest.approx(mean)
    assert found.part == "test"
    assert (found.breasts, found.positive_breasts) == (24, labels.sum())


def test_the_seeds_together_are_the_mean_of_their_scores(done, data):
    out, found = done
    cancer = dict(zip(data.table["image_id"], data.table["cancer"], strict=True))
    table = {(line["arm"], line["figure"]): line for line in lines(out / "arms.csv")}
    for arm in found.arms:
        scores = [lines(out / run.folder / HELD_OUT) for run in found.runs if run.arm == arm.name]
        labels = np.array([cancer[line["image_id"]] for line in scores[0]])
        together = roc_auc(np.mean([[float(line["score"]) for line in one] for one in scores], axis=0), labels)
        assert arm.seeds_together is not None
        assert arm.seeds_together.figures["roc_auc"].value == pytest.approx(together)
        assert arm.seeds_together.adds.value == pytest.approx(together - arm.figures["roc_auc"].value)
        assert float(table[f"{arm.name}, seeds together", "roc_auc"]["value"]) == pytest.approx(together)
    assert "one, seeds together" in (out / "comparison.html").read_text()


def test_json_tables_and_page_say_the_same(done):
    out, found = done
    said = json.loads((out / "comparison.json").read_text())
    assert said["schema"] == 1
    assert said["plan"]["name"] == "tiny"
    assert said["data_sha256"] == found.data_sha256
    assert [one["figure"] for one in said["contrasts"]] == ["roc_auc", "pr_auc_stated"]
    differences = lines(out / "differences.csv")
    asked = [line for line in differences if line["p_holm"]]
    assert [float(line["p_holm"]) for line in asked] == [one.p_holm for one in found.contrasts]
    added = {(line["a"], line["b"]): float(line["difference"]) for line in differences if not line["p_holm"]}
    assert added == {(name, arm.name): combined.adds.value for arm in found.arms for name, combined in arm.combined()}
    assert added, "the seeds together are told"
    convergence = lines(out / "convergence.csv")
    assert [line["run_folder"] for line in convergence] == [run.folder for run in found.runs]
    assert len(lines(out / "curves.csv")) == sum(run.epochs for run in found.runs)
    text = (out / "comparison.html").read_text()
    assert "Does a warm-up help?" in text
    assert "Research use only" in text
    assert f"{found.contrasts[0].difference.value:.3f}" in text
    # Nothing is fetched from anywhere.
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=[\"']?https?:", text)


def test_warnings_say_what_the_set_does_not_bear(done):
    assert any("held-out breasts have a cancer: intervals are wide" in text for text in done[1].warnings)


def test_a_finished_run_is_not_made_again(done, data, plan_file, monkeypatch):
    out, found = done
    monkeypatch.setattr(module, "fit", lambda *_args, **_more: pytest.fail("a run was made again"))
    again = compare(load_plan(plan_file), data, out, tell=quiet, note=quiet)
    assert again.contrasts == found.contrasts
    assert again.arms == found.arms


def test_held_out_pictures_are_scored_varied_without_a_run_anew(done, data, plan_file):
    """Copies of every held-out picture, the same for every run: its own figures and files, the others left alone."""
    out, as_they_are = done
    logs = {run.folder: (out / run.folder / "log.jsonl").read_bytes() for run in as_they_are.runs}
    brighter = Augmentation(brightness=0.9, rotation=20)
    told = ["held_out.augmentation={ brightness = 0.9, rotation = 20 }", "held_out.copies=2"]
    found = compare(load_plan(plan_file, told), data, out, tell=quiet, note=quiet)
    assert {run.folder: (out / run.folder / "log.jsonl").read_bytes() for run in found.runs} == logs
    run = found.runs[1]
    split = make_split(data.table, load_plan(plan_file).split)
    rows, checkpoint = split.rows(data.table, "test"), load_checkpoint(out / run.folder / "checkpoint.safetensors")
    labels, network = data.table["cancer"].to_numpy(bool)[rows], model_of(checkpoint).eval()
    areas = []
    for copy, path in enumerate(sorted((out / run.folder).glob("held_out-varied-*.csv"))):
        pictures = [varied(data.image(row), brighter, key=(0, 0, row, copy)) for row in rows.tolist()]
        with torch.inference_mode():
            given = as_input(torch.from_numpy(np.stack(pictures))[:, None], checkpoint.header.inputs)
            scores = torch.sigmoid(network(given)).numpy()
        assert [line["image_id"] for line in lines(path)] == data.table["image_id"].iloc[rows].tolist()
        np.testing.assert_allclose([float(line["score"]) for line in lines(path)], scores, atol=1e-5)
        areas.append(roc_auc(scores, labels))
    assert len(areas) == 2
    assert areas[0] != areas[1]
    assert run.held_out_roc_auc == pytest.approx(np.mean(areas))
    arm = next(arm for arm in found.arms if arm.name == "warmed")
    assert arm.figures["roc_auc"].value == pytest.approx(
        np.mean([one.held_out_roc_auc for one in found.runs if one.arm == "warmed"])
    )
    page = (out / "comparison.html").read_text()
    assert "2 copies of each, the same for every arm (rotation 20, brightness 0.9)." in page
    kept = path.read_bytes()
    path.unlink()
    heard: list[tuple[int, int]] = []
    plan = load_plan(plan_file, told)
    compare(plan, data, out, tell=lambda *said: heard.append(said[1:]) if said[0] == "Scoring" else None, note=quiet)
    assert path.read_bytes() == kept
    assert heard == [(len(rows), len(rows))], "nothing but the copy that was missing is scored"
    again = compare(load_plan(plan_file), data, out, tell=quiet, note=quiet)
    assert again.arms == as_they_are.arms, "pictures as they are have kept their scores"


def test_the_seeds_together_are_put_together_for_every_copy(done, data, plan_file):
    out, _found = done
    told = ["held_out.augmentation={ brightness = 0.9, rotation = 20 }", "held_out.copies=2"]
    found = compare(load_plan(plan_file, told), data, out, tell=quiet, note=quiet)
    cancer = dict(zip(data.table["image_id"], data.table["cancer"], strict=True))
    arm, runs = found.arms[0], [run.folder for run in found.runs if run.arm == found.arms[0].name]
    areas = []
    for copy in range(2):
        scores = [lines(next((out / run).glob(f"held_out-varied-*-{copy}.csv"))) for run in runs]
        labels = np.array([cancer[line["image_id"]] for line in scores[0]])
        areas.append(roc_auc(np.mean([[float(line["score"]) for line in one] for one in scores], axis=0), labels))
    assert arm.seeds_together is not None
    assert arm.seeds_together.figures["roc_auc"].value == pytest.approx(np.mean(areas))
    assert arm.seeds_together.adds.value == pytest.approx(np.mean(areas) - arm.figures["roc_auc"].value)


def test_copies_that_would_be_the_picture_itself_are_refused(plan_file):
    with pytest.raises(InputError, match=r"held_out: copies is 2, but augmentation changes nothing"):
        load_plan(plan_file, ["held_out.copies=2"])


def test_a_plan_that_grows_keeps_its_runs_and_a_changed_arm_is_new(done, data, plan_file):
    _out, found = done
    folders = [run.folder for run in found.runs]
    grown = trials(load_plan(plan_file, ["seeds=[0, 1, 2]"]), data)
    assert {one.folder for one in grown} > set(folders)
    changed = trials(load_plan(plan_file, ['arms.0.overrides=["phases.0.learning_rate=0.1"]']), data)
    assert [one.folder in folders for one in changed] == [False, True, False, True]
    longer = trials(load_plan(plan_file, ["budget.passes=8"]), data)
    assert not {one.folder for one in longer} & set(folders)


def test_an_interrupted_comparison_carries_on(data, plan_file, tmp_path, monkeypatch, done):
    real, made = module.fit, []

    def dies(recipe, data, split, run, **more):
        made.append(run.name)
        return real(recipe, data, split, run, **more, after=_killed if len(made) == 2 else None)

    monkeypatch.setattr(module, "fit", dies)
    plan = load_plan(plan_file, ["seeds=[0]"])
    with pytest.raises(KeyboardInterrupt):
        compare(plan, data, tmp_path, tell=quiet, note=quiet)
    assert not (tmp_path / "comparison.json").exists()
    monkeypatch.setattr(module, "fit", lambda *args, **more: made.append(args[3].name) or real(*args, **more))
    told: list[tuple[int, ...]] = []
    compare(
        plan, data, tmp_path, tell=lambda *said: told.append(said[1:]) if said[0] == RUNS_TOLD else None, note=quiet
    )
    # The first run was finished; the second was carried on.
    assert [name.split("-")[0] for name in made] == ["one", "warmed", "warmed"]
    assert told == [(1, 2), (2, 2)], "what was there is told as the beginning"


def _killed(_checkpoint: Path) -> None:
    raise KeyboardInterrupt


def test_scores_that_were_tampered_with_are_refused(done, data, plan_file):
    out, found = done
    path = out / found.runs[0].folder / HELD_OUT
    kept = path.read_text()
    path.write_text(kept.replace("L,", "X,", 1))
    with pytest.raises(InputError, match=r"held_out.csv: is not what this comparison wrote"):
        compare(load_plan(plan_file), data, out, tell=quiet, note=quiet)
    path.write_text(kept)


def test_a_budget_in_seconds_is_kept_by_the_run(data, plan_file, tmp_path, monkeypatch):
    given = []

    def ends(recipe, _data, _split, _run, **more):
        given.append((recipe.phases[-1].epochs, more["seconds"]))
        raise InputError("made", "stop here")

    monkeypatch.setattr(module, "fit", ends)
    text = plan_file.read_text().replace("passes = 4", "seconds = 30.5")
    (tmp_path / "timed.toml").write_text(text)
    with pytest.raises(InputError, match="stop here"):
        compare(load_plan(tmp_path / "timed.toml"), data, tmp_path, tell=quiet, note=quiet)
    assert given == [(4, 30.5)]


def test_folds_are_pooled_out_of_fold(data, plan_file, tmp_path, monkeypatch):
    plan = load_plan(plan_file, ["split.folds=3", "seeds=[0]", "budget.passes=1.5", "arms.1.overrides=[]"])
    asked = trials(plan, data)
    assert [(one.arm.name, one.fold, one.part) for one in asked] == [
        (arm, fold, "test") for fold in range(3) for arm in ("one", "warmed")
    ]
    held = [row for one in asked[::2] for row in one.split.rows(data.table, "test").tolist()]
    assert sorted(held) == list(range(80))
    # Two copies that contradict each other.
    rising = {one.folder: np.linspace(0, 1, len(one.split.rows(data.table, "test"))) for one in asked}
    scores = {folder: np.stack([one, 1 - one]) for folder, one in rising.items()}
    monkeypatch.setattr(module, "scores_of", lambda one, *_more: scores[one.folder])
    found = compare(plan, data, tmp_path, tell=quiet, note=quiet)
    assert (found.breasts, found.patients) == (80, 40)
    assert any("pooled without calibration" in text for text in found.warnings)
    assert [arm.figures["roc_auc"].value for arm in found.arms] == pytest.approx([0.5, 0.5])
    assert found.runs[0].held_out_roc_auc == pytest.approx(0.5)
    assert found.contrasts[0].difference.value == 0
    assert found.contrasts[0].p_holm == 1
    assert {arm.seeds_together for arm in found.arms} == {None}, "one seed has none to be put together with"


def test_folds_share_what_frozen_layers_give_and_leave_no_file_of_it(data, plan_file, tmp_path, monkeypatch):
    """A warm-up of the head alone: every fold but the first finds pictures that another one has shown."""
    found, look_up = [], Page.look_up
    monkeypatch.setattr(Page, "look_up", lambda *given: found.append(look_up(*given)) or found[-1])
    plan = load_plan(plan_file, ["split.folds=4", "seeds=[0]", "budget.passes=1.5"])
    compare(plan, data, tmp_path, tell=quiet, note=quiet)
    training = [one.known.mean() for one in found[::2]]
    assert len(training) == 4
    assert training[0] == 0
    assert 0 < training[1] < 1
    assert min(training[1:]) > 0
    assert not (tmp_path / "activations").exists()


def test_the_command_tells_what_it_found(done, data, plan_file):
    out, found = done
    app = typer.Typer()
    app.command()(command)
    told = CliRunner().invoke(app, [str(plan_file), str(data.folder), str(out)])
    assert told.exit_code == 0, told.output
    assert f"{found.breasts} held-out breasts" in told.output
    assert f"warmed - one, roc_auc: {found.contrasts[0].difference.value:+.3f}" in told.output
    assert "comparison.html" in told.output
    told = CliRunner().invoke(app, ["none", str(data.folder), str(out)])
    assert told.exit_code == 2
    assert "is neither a file nor a bundled plan" in told.output


def test_a_run_that_fails_is_named(data, plan_file, tmp_path):
    plan = load_plan(plan_file, ['overrides=["backbone=no_such_net"]'])
    with pytest.raises(InputError, match=r"runs/one-seed0-[0-9a-f]{8}: .*no_such_net"):
        compare(plan, data, tmp_path, tell=quiet, note=quiet)
