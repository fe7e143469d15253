"""Activations of frozen layers: the same learning as from pictures, and where a backbone is cut."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import fx

import mammo_train.feeds
import mammo_train.outcome
from mammo_core.checkpoint import load_checkpoint
from mammo_core.model import Architecture, build_model
from mammo_core.phases import Augmentation, Phase
from mammo_train.cached import place_for
from mammo_train.cut import cut
from mammo_train.feed import fixed_copies, kept_variants
from mammo_train.fit import fit
from mammo_train.optimiser import layers_trained
from mammo_train.prepared_set import PreparedSet
from mammo_train.run import read_log
from mammo_train.sampling import Batch
from tiny_set import curve, halves, phase, tiny_recipe, tiny_set

_VARIED = Augmentation(flip_vertical=0.5, brightness=0.3)


pytestmark = pytest.mark.usefixtures("cells_look_at_their_middle")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedSet:
    return tiny_set(tmp_path_factory.mktemp("set"), spot=9)


@pytest.mark.parametrize(
    ("stage", "pooling"),
    [
        (phase("head", trained=1, augmentation=_VARIED, feature_copies=2), "avg"),
        (phase("head", trained=1, ema=0.5, sampling="balanced", epochs=1), "gem"),
        (phase("last", trained=2, batch_norm="frozen", epochs=1), "gem"),
        (phase("last", trained=3, augmentation=_VARIED, feature_copies=2, accumulate=2), "avg"),
        (phase("head", trained=1, augmentation=_VARIED, feature_copies=2), "breast"),
        (phase("last", trained=2, augmentation=_VARIED, feature_copies=2), "breast"),
    ],
)
def test_learning_from_activations_is_learning_from_the_same_pictures(
    data: PreparedSet, tmp_path: Path, stage: Phase, pooling: str
) -> None:
    recipe = tiny_recipe(stage, architecture={"backbone": "resnet10t", "in_channels": 1, "pooling": pooling})
    runs = {cache: tmp_path / str(cache) for cache in (True, False)}
    checkpoints = {
        cache: load_checkpoint(fit(recipe, data, halves(data), run, cache=cache)) for cache, run in runs.items()
    }
    logs = {cache: read_log(run) for cache, run in runs.items()}
    assert str(logs[True][1]["feed"]).startswith("activations of the frozen layers")
    assert logs[False][1]["feed"] == "pictures"
    for kept, anew in zip(curve(logs[True]), curve(logs[False]), strict=True):
        for name in ("train_loss", "validation_loss"):
            assert kept[name] == pytest.approx(anew[name], abs=1e-5)
    for name, tensor in checkpoints[True].weights.items():
        torch.testing.assert_close(tensor, checkpoints[False].weights[name], rtol=1e-4, atol=1e-4)


def test_frozen_layers_do_not_move_and_the_others_do(data: PreparedSet, tmp_path: Path) -> None:
    recipe = tiny_recipe(phase("last", trained=2, epochs=1))
    torch.manual_seed(recipe.seed)
    before = build_model(recipe.architecture)
    after = load_checkpoint(fit(recipe, data, halves(data), tmp_path / "run")).weights
    moved = {name for name, tensor in before.state_dict().items() if not torch.equal(tensor, after[name])}
    assert "backbone.layer4.0.bn1.running_mean" in moved
    assert {name.split(".")[1] for name in moved if name.startswith("backbone.")} == {"layer4"}


@pytest.mark.parametrize(
    "backbone", ["resnet10t", "regnetx_002", "tf_efficientnet_lite0", "densenet121", "convnext_atto"]
)
@pytest.mark.parametrize(
    "changes",
    [{}, {"stages": 2}, {"stages": 2, "pooling": "breast"}, {"stages": 2, "pooling": "breast", "enlarge": 1.5}],
)
def test_a_backbone_in_two_is_the_backbone(backbone: str, changes: dict[str, Any]) -> None:
    model = build_model(Architecture(backbone=backbone, in_channels=1, **changes)).eval()
    images = torch.randn(2, 1, 64, 64)
    images[:, :, :, 40:] = -3.0  # air
    for trained in (1, 2, 3):
        parts = cut(model, phase("some", trained=trained))
        assert parts is not None
        with torch.no_grad():
            whole = model(images)
            torch.testing.assert_close(model.logits(parts.rest(parts.frozen(images))), whole)


def test_only_layers_that_learn_are_behind_the_cut() -> None:
    model = build_model(Architecture(backbone="resnet10t", in_channels=1))
    stage = phase("last", trained=2)
    parts = cut(model, stage)
    assert parts is not None
    with layers_trained(model, stage):
        assert not any(parameter.requires_grad for parameter in parts.frozen.parameters())
        assert all(parameter.requires_grad for parameter in parts.rest.parameters())
        learning = {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
    behind = {id(parameter) for parameter in parts.rest.parameters()}
    assert learning == behind | {id(parameter) for parameter in model.head.parameters()}


def test_what_cannot_be_cut_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_model(Architecture(backbone="resnet10t", in_channels=1))
    assert cut(model, phase("all", trained=6)) is None, "nothing is frozen"

    def untraceable(*_given: object) -> fx.Graph:
        raise fx.proxy.TraceError("control flow that depends on the picture")

    monkeypatch.setattr(fx.Tracer, "trace", untraceable)
    assert cut(model, phase("last", trained=2)) is None
    assert cut(model, phase("head", trained=1)) is not None, "needs no trace"


def test_too_little_memory_means_pictures_with_the_same_result(
    data: PreparedSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tiny_recipe(phase("head", trained=1))
    fit(recipe, data, halves(data), tmp_path / "kept")
    monkeypatch.setattr(mammo_train.feeds, "place_for", lambda _needed, _device, _held=None: None)
    fit(recipe, data, halves(data), tmp_path / "anew")
    kept, anew = (read_log(tmp_path / name) for name in ("kept", "anew"))
    assert "would take" in str(anew[1]["feed"])
    for first, second in zip(curve(kept), curve(anew), strict=True):
        assert first["train_loss"] == pytest.approx(second["train_loss"], abs=1e-6)


def test_memory_is_not_asked_for_beyond_half_of_what_is_free() -> None:
    assert place_for(1, torch.device("cpu")) == torch.device("cpu")
    assert place_for(2**60, torch.device("cpu")) is None


def test_variants_are_kept_only_where_layers_are_frozen() -> None:
    assert kept_variants(phase("all", feature_copies=4)) == 0
    assert kept_variants(phase("head", trained=1)) == 1
    assert kept_variants(phase("head", trained=1, augmentation=_VARIED, feature_copies=4)) == 4
    assert kept_variants(phase("last", trained=2, augmentation=_VARIED)) == 0
    assert kept_variants(phase("last", trained=2, augmentation=_VARIED, feature_copies=2)) == 2


def test_an_image_that_comes_again_shows_its_next_variant() -> None:
    batch = Batch(np.array([7, 7, 8]), np.array([0, 1, 0]), 3)
    assert fixed_copies(batch, 0, 2).copies.tolist() == [0, 1, 0]
    assert fixed_copies(batch, 1, 2).copies.tolist() == [1, 0, 1]
    assert fixed_copies(batch, 5, 3).copies.tolist() == [2, 0, 2]
