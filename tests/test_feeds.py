"""Phases that show the same pictures: their first frozen layers work once, and nothing else is different."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

import mammo_train.feeds
import mammo_train.outcome
from mammo_core.checkpoint import load_checkpoint
from mammo_core.model import Architecture, build_model
from mammo_core.phases import Augmentation, Phase
from mammo_train.cached import Kept, channels_first, place_for
from mammo_train.cut import between, cut
from mammo_train.estimate import estimate
from mammo_train.feeds import showing_the_same
from mammo_train.fit import fit
from mammo_train.prepared_set import PreparedSet
from mammo_train.recipe import Recipe
from mammo_train.run import Stopped, read_log, request_stop
from mammo_train.shelf import Page
from mammo_train.split import Split, SplitSettings, make_split
from tiny_set import curve, halves, phase, tiny_recipe, tiny_set

_VARIED = Augmentation(flip_vertical=0.5, brightness=0.3)
_KEPT: dict[str, Any] = {"augmentation": _VARIED, "feature_copies": 2, "batch_norm": "frozen"}
_TRAINING = _VALIDATION = 16
_ONCE = 2 * _TRAINING + _VALIDATION
"""Pictures that a phase shows in two variants, and validates on."""


pytestmark = pytest.mark.usefixtures("cells_look_at_their_middle")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedSet:
    return tiny_set(tmp_path_factory.mktemp("set"), spot=9)


def _fit(
    recipe: Recipe, data: PreparedSet, run: Path, *, split: Split | None = None, shelf: Path | None = None
) -> list[int]:
    """Train; return how many pictures went through the first layer until each phase began, since the last one did.

    A batch of one, from which sizes are worked out, does not count.
    """
    seen, told = 0, [0]

    def count(module: nn.Module, given: tuple[torch.Tensor], _found: object) -> None:
        nonlocal seen
        if isinstance(module, nn.Conv2d) and module.in_channels == 1 and len(given[0]) > 1:
            seen += len(given[0])

    def note(text: str) -> None:
        # It is told of when its activations are there.
        if text.startswith("phase"):
            told.append(seen)

    hook = register_module_forward_hook(count)
    try:
        fit(recipe, data, split or halves(data), run, note=note, shelf=shelf)
    finally:
        hook.remove()
    return [after - before for before, after in pairwise(told)]


def _recipe(*phases: Phase, pooling: str = "avg", **changes: Any) -> Recipe:
    return tiny_recipe(*phases, architecture={"backbone": "resnet10t", "in_channels": 1, "pooling": pooling}, **changes)


_HEAD = phase("head", trained=1, **_KEPT)
_LAST = phase("last", trained=2, **_KEPT)
_TWO = phase("two", trained=3, **_KEPT)


@pytest.mark.parametrize(
    ("pooling", "precision"), [("avg", "float32"), ("breast", "float32"), ("breast", "bfloat16"), ("gem", "bfloat16")]
)
def test_what_is_shared_is_what_each_phase_would_have_made_for_itself(
    data: PreparedSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pooling: str, precision: str
) -> None:
    recipe = _recipe(_HEAD, _TWO, _LAST, pooling=pooling, precision=precision)
    assert _fit(recipe, data, tmp_path / "shared") == [_ONCE, 0, 0]
    monkeypatch.setattr(mammo_train.feeds, "showing_the_same", lambda phases: phases[:1])
    assert _fit(recipe, data, tmp_path / "alone") == [_ONCE, _ONCE, _ONCE]
    shared, alone = (read_log(tmp_path / name) for name in ("shared", "alone"))
    assert curve(shared) == curve(alone)
    assert len({str(event["train_loss"]) for event in curve(shared)}) == len(curve(shared))
    weights = [load_checkpoint(tmp_path / name / "checkpoint.safetensors").weights for name in ("shared", "alone")]
    assert all(torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())


def _weights(folder: Path, pooling: str) -> Path:
    """Backbone weights in a file: a network that does not depend on the seed."""
    torch.manual_seed(0)
    model = build_model(Architecture(backbone="resnet10t", in_channels=1, pooling=pooling))
    safetensors.torch.save_file(model.published.state_dict(), folder / "weights.safetensors")
    return folder / "weights.safetensors"


@pytest.mark.parametrize("pooling", ["avg", "breast"])
def test_runs_that_show_the_same_pictures_share_a_shelf(
    data: PreparedSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pooling: str
) -> None:
    """Two folds with one shelf: the second finds what the first has shown, and learns what it would have learnt."""
    monkeypatch.setattr("mammo_train.cached._PAGE_BATCH", 20)
    recipe = _recipe(_HEAD, pooling=pooling, weights=str(_weights(tmp_path, pooling)))
    folds = [make_split(data.table, SplitSettings(validation=0.2, test=0.0, folds=5, fold=fold)) for fold in (0, 1)]
    rows = [{part: set(fold.rows(data.table, part).tolist()) for part in ("train", "validation")} for fold in folds]
    shelf = tmp_path / "shelf"
    first, second = (_fit(recipe, data, tmp_path / f"{n}", split=fold, shelf=shelf) for n, fold in enumerate(folds))
    assert first == [2 * len(rows[0]["train"]) + len(rows[0]["validation"])]
    learnt, looked_at = (rows[1][part] - rows[0][part] for part in ("train", "validation"))
    assert 0 < len(learnt) < len(rows[1]["train"])
    assert second == [2 * len(learnt) + len(looked_at)]
    _fit(recipe, data, tmp_path / "alone", split=folds[1])
    shared, alone = (curve(read_log(tmp_path / name)) for name in ("1", "alone"))
    for one, other in zip(shared, alone, strict=True):
        # Pictures were shown to the frozen layers in other company, which may round their last bit another way.
        for figure in ("train_loss", "validation_loss", "roc_auc"):
            assert one[figure] == pytest.approx(other[figure], rel=1e-6)


@pytest.mark.parametrize(
    ("changes", "varied_again"),
    [
        ({"learning_rate": 0.5, "epochs": 3}, False),
        ({"feature_copies": 1}, False),
        ({"augmentation": Augmentation(flip_vertical=0.25, brightness=0.3)}, True),
    ],
)
def test_another_arm_takes_from_the_shelf_what_is_the_same(
    data: PreparedSet, tmp_path: Path, changes: dict[str, Any], varied_again: bool
) -> None:
    weights = str(_weights(tmp_path, "avg"))
    shelf = tmp_path / "shelf"
    _fit(_recipe(_HEAD, weights=weights), data, tmp_path / "first", shelf=shelf)
    other = phase("head", **{"trained": 1, **_KEPT, **changes})
    seen = _fit(_recipe(other, weights=weights), data, tmp_path / "other", shelf=shelf)
    assert seen == [2 * _TRAINING if varied_again else 0]
    reseeded = _recipe(_HEAD, weights=weights, seed=4)
    assert _fit(reseeded, data, tmp_path / "reseeded", shelf=shelf) == [2 * _TRAINING]


def test_what_others_have_done_for_a_run_counts_as_its_own_time(
    data: PreparedSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arms are compared by seconds too: the one that came second would look quick."""
    recipe, shelf = _recipe(_HEAD, weights=str(_weights(tmp_path, "avg"))), tmp_path / "shelf"
    fit(recipe, data, halves(data), tmp_path / "first", shelf=shelf)
    look_up = Page.look_up
    monkeypatch.setattr(Page, "look_up", lambda page, pairs: replace(look_up(page, pairs), seconds=1000.0))
    fit(recipe, data, halves(data), tmp_path / "second", shelf=shelf)
    begun = [event for name in ("first", "second") for event in read_log(tmp_path / name) if event["event"] == "phase"]
    first, second = (float(str(event["seconds"])) for event in begun)
    assert first < 1000
    assert 2000 < second < 3000


def test_layers_that_are_not_the_same_share_no_shelf(data: PreparedSet, tmp_path: Path) -> None:
    """Random weights of another seed are other layers; a phase that learns more than the head keeps its own."""
    shelf = tmp_path / "shelf"
    _fit(_recipe(_HEAD), data, tmp_path / "one", shelf=shelf)
    assert _fit(_recipe(_HEAD, seed=4), data, tmp_path / "other", shelf=shelf) == [_ONCE]
    pages = len(list(shelf.iterdir()))
    assert _fit(_recipe(_LAST), data, tmp_path / "last", shelf=shelf) == [_ONCE]
    assert len(list(shelf.iterdir())) == pages


def test_a_phase_says_what_it_shares(data: PreparedSet, tmp_path: Path) -> None:
    told: list[str] = []

    def tell(what: str, _done: int, _total: int) -> None:
        if "frozen" in what and what not in told:
            told.append(what)

    fit(_recipe(_HEAD, _TWO, _LAST), data, halves(data), tmp_path / "run", tell=tell)
    assert told == ["head: frozen layers, shared with two", "head: frozen layers", "last: frozen layers"]
    feeds = [str(event["feed"]) for event in read_log(tmp_path / "run") if event["event"] == "phase"]
    each = "activations of the frozen layers, 2 of each image, "
    # float32: 48 pictures of 512 values behind the pooling, of 128 x 8 x 8 and of 256 x 4 x 4 before the last stages.
    assert feeds == [
        f"{each}0.1 MiB, of 1.5 MiB that two begins with too",
        f"{each}1.5 MiB, kept from the phase before",
        f"{each}0.8 MiB, of 1.5 MiB kept from the phase before",
    ]


@pytest.mark.parametrize(
    ("later", "alike"),
    [
        ({}, 3),
        ({"epochs": 9, "learning_rate": 0.5, "batch_size": 3, "sampling": "balanced"}, 3),
        ({"feature_copies": 3}, 1),
        ({"augmentation": Augmentation(flip_vertical=0.5)}, 1),
        ({"subset": {"kind": "balanced_groups"}}, 1),
        ({"trained": "all"}, 1),
        ({"crop": 32}, 1),
    ],
)
def test_only_phases_that_show_the_same_share(later: dict[str, Any], alike: int) -> None:
    phases = [_HEAD, phase("later", **{"trained": 2, **_KEPT, **later}), _TWO]
    assert len(showing_the_same(phases)) == alike


@pytest.mark.parametrize(
    ("phases", "seen"),
    [
        ((_HEAD, phase("last", trained=2, **{**_KEPT, "feature_copies": 1}, epochs=1)), [_ONCE, 0]),
        ((_HEAD, phase("last", trained=2, **{**_KEPT, "feature_copies": 3})), [_ONCE, _ONCE + _TRAINING]),
        ((phase("some", trained=1, subset={"kind": "balanced_images", "images": 8}, **_KEPT), _TWO), [32, _ONCE]),
        ((_TWO, _HEAD, phase("again", trained=1, **_KEPT)), [_ONCE, 0, 0]),
        ((_HEAD, phase("nothing_frozen", trained=6, epochs=1, **_KEPT), _LAST), [_ONCE, 0, 32 + _ONCE]),
    ],
)
def test_layers_that_have_learnt_or_other_pictures_are_not_shared(
    data: PreparedSet, tmp_path: Path, phases: Sequence[Phase], seen: list[int]
) -> None:
    found = _fit(_recipe(*phases), data, tmp_path / "run")
    assert found == seen


def test_a_run_stopped_in_a_phase_that_was_handed_activations_is_carried_on(data: PreparedSet, tmp_path: Path) -> None:
    recipe = _recipe(_HEAD, phase("two", trained=3, ema=0.9, **_KEPT), _LAST, precision="bfloat16", pooling="breast")
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    fit(recipe, data, halves(data), whole)
    for stopped_in in ("two: epoch 2/2", "last: epoch 1/2"):

        def stop(what: str, done: int, _total: int, wanted: str = stopped_in) -> None:
            if what == wanted and done == 1:
                request_stop(parted)

        with pytest.raises(Stopped):
            fit(recipe, data, halves(data), parted, tell=stop, resume=True)
    fit(recipe, data, halves(data), parted, resume=True)
    assert curve(read_log(parted)) == curve(read_log(whole))


@pytest.mark.parametrize(
    ("room", "seen"),
    [
        (2_000_000, [_ONCE, 0, _ONCE]),  # not for those of "two" and of "last"
        (1_600_000, [_ONCE, _ONCE, _ONCE]),  # nor for those of "head" and of "two"
        (100_000, [_ONCE, 0, 2 * (_TRAINING + _VALIDATION)]),  # for those of "head" alone: pictures in two epochs
    ],
)
def test_without_room_for_more_each_phase_has_its_own(
    data: PreparedSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int, seen: list[int]
) -> None:
    def place(needed: int, device: torch.device, held: Kept | None = None) -> torch.device | None:
        return device if needed + (held.nbytes if held else 0) <= room else None

    recipe = _recipe(_HEAD, _TWO, _LAST)
    fit(recipe, data, halves(data), tmp_path / "much")
    monkeypatch.setattr(mammo_train.feeds, "place_for", place)
    assert _fit(recipe, data, tmp_path / "little") == seen
    for much, little in zip(*(curve(read_log(tmp_path / name)) for name in ("much", "little")), strict=True):
        assert much["train_loss"] == pytest.approx(little["train_loss"], abs=1e-5)
        assert much["validation_loss"] == pytest.approx(little["validation_loss"], abs=1e-5)


def test_held_activations_count_as_memory_that_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    class Memory:
        available = 1000

    monkeypatch.setattr("psutil.virtual_memory", lambda: Memory)
    here = torch.device("cpu")
    held = Kept(torch.zeros(100, dtype=torch.uint8), torch.zeros(200, dtype=torch.uint8))
    assert (place_for(500, here), place_for(501, here)) == (here, None)
    # Half of 1,300 bytes, 300 of which are taken.
    assert (place_for(350, here, held), place_for(351, here, held)) == (here, None)


@pytest.mark.parametrize("backbone", ["resnet10t", "tf_efficientnet_lite0", "convnext_atto"])
@pytest.mark.parametrize("changes", [{"pooling": "breast", "stages": 2, "enlarge": 1.5}, {"pooling": "breast"}, {}])
@pytest.mark.parametrize("half", [torch.bfloat16, torch.float32])
def test_layers_between_two_cuts_make_one_of_the_other(
    backbone: str, changes: dict[str, Any], half: torch.dtype
) -> None:
    model = build_model(Architecture(backbone=backbone, in_channels=1, **changes)).eval()
    model.to(memory_format=torch.channels_last)
    # Air here and there: 16 bits do not hold what part of a cell shows breast.
    images = torch.rand(2, 1, 64, 64) * (torch.rand(2, 1, 64, 64) > 0.3)
    images = images.contiguous(memory_format=torch.channels_last)
    cuts = [found for trained in (1, 2, 3, 4) if (found := cut(model, phase("some", trained=trained)))]
    with torch.no_grad(), torch.autocast("cpu", half, enabled=half is not torch.float32):
        made = [found.frozen(images).movedim(1, -1).contiguous() for found in cuts]
        for second, wanted in zip(cuts, made, strict=True):
            for first, kept in zip(cuts, made, strict=True):
                if first.steps < second.steps:
                    found = between(model, first, second)(channels_first(kept, kept.device))
                    torch.testing.assert_close(found, wanted.movedim(-1, 1), rtol=0, atol=0)


def test_a_trial_shares_only_what_the_run_will(data: PreparedSet, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    was = showing_the_same

    def seen(phases: Sequence[Phase]) -> list[Phase]:
        asked.append(len(was(phases)))
        return was(phases)

    monkeypatch.setattr(mammo_train.feeds, "showing_the_same", seen)
    some = phase("some", trained=1, subset={"kind": "balanced_groups"}, **_KEPT)
    found = estimate(_recipe(some, _HEAD, _TWO), data, halves(data), lambda _what, _done, _total: None)
    assert asked == [1, 2, 1]
    assert all(each.before > 0 and each.epoch > 0 for each in found.phases)
