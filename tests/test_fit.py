"""A recipe becomes a run folder: what is handed on, chosen, told and written."""

import json
import sys
import types
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression

import mammo_train.outcome
import mammo_train.scoring
import mammo_train.training
from mammo_core.calibration import sigmoid
from mammo_core.checkpoint import load_checkpoint, model_of
from mammo_core.errors import InputError
from mammo_core.model import Architecture
from mammo_core.phases import Augmentation
from mammo_train.fit import fit
from mammo_train.memory import Memory
from mammo_train.prepared_set import PreparedSet
from mammo_train.recipe import load_recipe
from mammo_train.run import read_log, read_status
from mammo_train.scoring import image_logits, input_batch
from tiny_set import INPUTS, curve, halves, phase, tiny_recipe, tiny_set


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedSet:
    return tiny_set(tmp_path_factory.mktemp("set"), spot=9)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mammo_train.outcome, "cell_shift", lambda _model: (0.5, -1.25))


def test_a_run_folder_holds_all_that_others_need(data: PreparedSet, tmp_path: Path) -> None:
    recipe = tiny_recipe(phase("head", trained=1), phase("all", pos_weight=3.0), about="For a test.")
    notes: list[str] = []
    split = halves(data)
    checkpoint = load_checkpoint(fit(recipe, data, split, tmp_path, note=notes.append))
    assert load_recipe(tmp_path / "recipe.toml") == recipe
    assert (tmp_path / "split.csv").read_text() == split.text
    assert not list((tmp_path / "last").glob("epoch-*")), "weights that only resuming needed are deleted"
    header = checkpoint.header
    assert header.name == "tiny"
    assert header.training_domain == "mammogram"
    assert header.cell_shift == (0.5, -1.2)
    assert header.inputs == recipe.inputs(INPUTS)
    assert header.training is not None
    assert (header.training.split_sha256, header.training.data_sha256) == (split.sha256, data.sha256)
    assert header.training.epochs == 4
    assert "16 images of 8 breasts of 8 patients (made); 4 breasts (50.0%) with cancer." in header.card.training_data
    assert header.card.views == ("CC", "MLO")
    events = read_log(tmp_path)
    assert [event["event"] for event in events] == [
        "start",
        *("phase", "epoch", "epoch"),
        *("phase", "epoch", "epoch"),
        "finished",
    ]
    assert [event["phase"] for event in curve(events)] == ["head", "head", "all", "all"]
    held = [Memory.model_validate(event["memory"]) for event in events if event["event"] in ("phase", "epoch")]
    assert all(each.resident > 10 << 20 and each.gpu is None and each.processes == 1 for each in held)
    assert len(notes) == 6
    # Half of the images are positive: log-odds 0. It moves by ln 3 when positives begin to count three times; the
    # first phase had four steps of at most 0.01 each.
    first, second = (float(str(event["head_bias"])) for event in events if event["event"] == "phase")
    assert first == 0.0
    assert second == pytest.approx(np.log(3), abs=0.05)


def test_scores_on_disk_are_the_checkpoint_s_own(tmp_path: Path) -> None:
    data = tiny_set(tmp_path / "set", spot=20)
    recipe = tiny_recipe(phase("head", trained=1), stated_prevalence=0.02)
    checkpoint = load_checkpoint(fit(recipe, data, halves(data), tmp_path))
    images, breasts = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("validation_images", "validation"))
    rows = halves(data).rows(data.table, "validation")
    logits = image_logits(model_of(checkpoint), checkpoint.header.inputs, data, rows, batch=3)
    assert images["logit"].to_numpy() == pytest.approx(logits, abs=1e-5)
    # Platt against scikit-learn's logistic regression on his smoothed targets, as weighted pairs.
    calibration = checkpoint.header.calibration
    assert calibration is not None
    assert (calibration.fitted_prevalence, calibration.stated_prevalence, calibration.unit) == (0.5, 0.02, "view")
    target = np.where(images["cancer"], 9 / 10, 1 / 10)
    theirs = LogisticRegression(C=1e12, tol=1e-10, max_iter=10_000).fit(
        np.concatenate([logits, logits])[:, None] / logits.std(),
        np.repeat([1, 0], len(logits)),
        sample_weight=np.concatenate([target, 1 - target]),
    )
    assert calibration.slope == pytest.approx(float(theirs.coef_[0, 0]) / logits.std(), rel=1e-2)
    shift = np.log(0.02 / 0.98)
    assert images["score"].to_numpy() == pytest.approx(
        sigmoid(calibration.slope * logits + calibration.intercept + shift), abs=1e-4
    )
    means = images.groupby("patient_id")["score"].mean()
    assert breasts["score"].to_numpy() == pytest.approx(means.to_numpy())
    validation = checkpoint.header.validation
    assert validation is not None
    assert breasts["score"].to_numpy() == pytest.approx(np.array(validation.scores))
    assert breasts["cancer"].tolist() == [int(label) for label in validation.labels]


def test_a_half_checkpoint_was_measured_as_it_is_kept(data: PreparedSet, tmp_path: Path) -> None:
    recipe = tiny_recipe(phase("head", trained=1, epochs=1), half=True)
    checkpoint = load_checkpoint(fit(recipe, data, halves(data), tmp_path))
    whole = fit(recipe.model_copy(update={"half": False}), data, halves(data), tmp_path / "whole")
    assert (tmp_path / "checkpoint.safetensors").stat().st_size < 0.6 * whole.stat().st_size
    rows = halves(data).rows(data.table, "validation")
    logits = image_logits(model_of(checkpoint), checkpoint.header.inputs, data, rows)
    told = pd.read_csv(tmp_path / "validation_images.csv")["logit"].to_numpy()
    assert told == pytest.approx(logits, abs=5e-7)
    exact = image_logits(model_of(load_checkpoint(whole)), checkpoint.header.inputs, data, rows)
    assert np.abs(told - exact).max() > 2e-6, "the rounding shows"


def test_the_card_says_what_the_backbone_learnt_before_and_on_which_terms(data: PreparedSet, tmp_path: Path) -> None:
    before = tiny_recipe(phase("head", trained=1, epochs=1), name="before")
    first = fit(before, data, halves(data), tmp_path / "before")
    after = tiny_recipe(phase("head", trained=1, epochs=1), weights=str(first))
    card = load_checkpoint(fit(after, data, halves(data), tmp_path / "after")).header.card
    learnt = "16 images of 8 breasts of 8 patients (made); 4 breasts (50.0%) with cancer."
    assert card.training_data == f"{learnt} Its backbone began with before: {learnt}"
    assert card.data_terms == "made: not stated."


def test_the_best_epoch_becomes_the_checkpoint_and_patience_ends_a_phase(
    data: PreparedSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = iter([0.6, 0.9, 0.7, 0.8, 0.5, 0.4])
    monkeypatch.setattr(mammo_train.training, "roc_auc", lambda _scores, _labels: next(values))
    recipe = tiny_recipe(phase("head", trained=1, epochs=9, patience=2), phase("more", trained=1, epochs=2))
    checkpoint = load_checkpoint(fit(recipe, data, halves(data), tmp_path))
    events = curve(read_log(tmp_path))
    assert [event["phase_epoch"] for event in events] == [1, 2, 3, 4, 1, 2]
    assert [event["best"] for event in events] == [True, True, False, False, False, False]
    finished = read_log(tmp_path)[-1]
    assert (finished["best_epoch"], finished["best_phase"], finished["roc_auc"]) == (2, "head", 0.9)
    assert checkpoint.header.training is not None
    assert checkpoint.header.training.spent_in_words == (
        "6 epochs in 0 minutes; the weights are those after epoch 2, of the phase head"
    )
    # The second phase starts from the first's best, and so does the checkpoint.
    starts = [event["head_bias"] for event in read_log(tmp_path) if event["event"] == "phase"]
    assert float(checkpoint.weights["head.bias"]) == pytest.approx(float(str(starts[1])))


def test_a_budget_of_time_ends_training_properly(data: PreparedSet, tmp_path: Path) -> None:
    recipe = tiny_recipe(phase("head", trained=1, epochs=50), phase("all", epochs=50))
    checkpoint = fit(recipe, data, halves(data), tmp_path, seconds=1e-6)
    assert checkpoint.is_file()
    assert len(curve(read_log(tmp_path))) == 1
    assert read_log(tmp_path)[-1]["event"] == "finished"


def test_a_loss_that_is_no_number_names_phase_epoch_and_step(
    data: PreparedSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([1.0, 1.0, float("nan")])
    monkeypatch.setattr("mammo_train.loop.Learner.learn", lambda *_given: next(losses))
    with pytest.raises(InputError, match=r"phase wild, epoch 2: loss is nan at step 3 .*gradient_clip = 1\.0"):
        fit(tiny_recipe(phase("wild", trained=1)), data, halves(data), tmp_path)
    status = read_status(tmp_path)
    assert status is not None
    assert status.state == "failed"
    assert status.reason.startswith("phase wild, epoch")


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
)
def test_no_memory_says_what_to_lower(
    data: PreparedSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_given: object) -> float:
        raise error

    monkeypatch.setattr("mammo_train.loop.Learner.learn", fail)
    words = r"phase all, epoch 1: memory ran out with 3 images of 64 x 64 pixels at once; raise accumulate .*batch_size"
    with pytest.raises(InputError, match=words):
        fit(tiny_recipe(phase("all", accumulate=3)), data, halves(data), tmp_path)


def test_another_error_is_not_called_a_lack_of_memory(
    data: PreparedSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_given: object) -> float:
        raise RuntimeError("odd")

    monkeypatch.setattr("mammo_train.loop.Learner.learn", fail)
    with pytest.raises(RuntimeError, match="odd"):
        fit(tiny_recipe(phase("all")), data, halves(data), tmp_path)


def test_logits_that_do_not_rise_with_cancer_are_left_uncalibrated_and_said_so(
    data: PreparedSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def falling(_logits: object, _cancer: object) -> tuple[float, float]:
        raise InputError("calibration", "slope -1 is not positive: scores do not rise with the label")

    monkeypatch.setattr(mammo_train.outcome, "fit_platt", falling)
    notes: list[str] = []
    header = load_checkpoint(
        fit(tiny_recipe(phase("head", trained=1)), data, halves(data), tmp_path, note=notes.append)
    ).header
    assert header.calibration is None
    assert (
        header.card.limits[-1]
        == notes[-1]
        == ("Not calibrated: slope -1 is not positive: scores do not rise with the label.")
    )


def test_the_same_seed_gives_the_same_run_and_another_does_not(data: PreparedSet, tmp_path: Path) -> None:
    varied = Augmentation(flip_vertical=0.5)
    curves = []
    for number, seed in enumerate((5, 5, 6)):
        recipe = tiny_recipe(phase("all", epochs=1, augmentation=varied), seed=seed)
        fit(recipe, data, halves(data), tmp_path / str(number))
        curves.append(curve(read_log(tmp_path / str(number))))
    assert curves[0] == curves[1]
    assert curves[0][0]["train_loss"] != curves[2][0]["train_loss"]


def test_pictures_of_another_size_than_the_recipe_is_meant_for_are_told(data: PreparedSet, tmp_path: Path) -> None:
    notes: list[str] = []
    recipe = tiny_recipe(phase("head", trained=1, epochs=1), size=(128, 96))
    fit(recipe, data, halves(data), tmp_path, note=notes.append)
    assert notes[0] == "images are 64 x 64 pixels; the recipe is meant for 128 x 96"


def test_curves_go_to_tensorboard_where_it_is(
    data: PreparedSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Writer:
        written: ClassVar[list[tuple[str, float, int]]] = []

        def __init__(self, folder: str, purge_step: int | None) -> None:
            assert (folder, purge_step) == (str(tmp_path / "tensorboard"), None)

        def add_scalar(self, name: str, value: float, step: int) -> None:
            self.written.append((name, value, step))

        def flush(self) -> None:
            pass

    module = types.ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Writer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    monkeypatch.setattr("mammo_train.event_files.importlib.util.find_spec", lambda _name: module)
    fit(tiny_recipe(phase("head", trained=1)), data, halves(data), tmp_path)
    assert [step for name, _, step in Writer.written if name == "roc_auc"] == [1, 2]
    assert {name for name, _, _ in Writer.written} >= {"train_loss", "pr_auc", "learning_rate/head"}


def test_an_input_batch_is_what_the_model_sees(data: PreparedSet) -> None:
    inputs = tiny_recipe(phase("head")).inputs(INPUTS)
    batch = input_batch(inputs, data, np.array([2, 0]))
    assert batch.shape == (2, 1, 64, 64)
    wanted = (data.image(2).astype(np.float32) / 255 - 0.25) / 0.25
    assert batch[0, 0].numpy() == pytest.approx(wanted, abs=1e-6)


def test_pictures_that_are_looked_at_enlarged_take_as_much_memory_as_large_ones() -> None:
    inputs = tiny_recipe(phase("head")).inputs(INPUTS)
    sizes = [mammo_train.scoring.batch_of(inputs, Architecture(enlarge=factor)) for factor in (1, 2, 4)]
    assert sizes == [1024, 256, 64]


def test_the_status_is_json_for_others_to_read(data: PreparedSet, tmp_path: Path) -> None:
    fit(tiny_recipe(phase("head", trained=1, epochs=1)), data, halves(data), tmp_path)
    assert json.loads((tmp_path / "status.json").read_text())["state"] == "finished"
