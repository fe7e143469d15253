"""Recipes: those that ship, their way through TOML, changes from the command line, and what is refused."""

import math
import tomllib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mammo_core.errors import InputError
from mammo_core.inputs import InputSettings
from mammo_core.model import Architecture, build_model
from mammo_core.phases import Phase
from mammo_train.optimiser import layers_trained, learning_rates, make_optimiser, trained_groups
from mammo_train.prior import bias_shift, seen_by_loss
from mammo_train.recipe import Recipe, bundled_recipes, dump_recipe, load_recipe
from mammo_train.subsets import subset_rows

NAMES = [
    "improved",
    "natural_then_full",
    "phantom-demo",
    "progressive",
    "progressive_warmup",
    "screening256",
    "single_stage",
    "study_large",
    "study_small",
    "warmup_then_full",
]
BACKBONES = ["resnet101", "resnet10t", "regnetx_002", "tf_efficientnet_lite0"]
PREPARED = InputSettings(height=256, width=192, margin=0.03)


def written(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return path


SHORT = """
name = "short"
[[phases]]
name = "head"
trained = 1
epochs = 3
learning_rate = 1e-3
[[phases]]
name = "all"
epochs = 2
learning_rate = 1e-4
"""


def test_the_recipes_that_ship():
    assert list(bundled_recipes()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_bundled_recipe_loads_and_comes_back_through_toml(name, tmp_path):
    recipe = load_recipe(name)
    assert recipe.name == name
    text = dump_recipe(recipe)
    assert load_recipe(written(tmp_path, text)) == recipe
    assert dump_recipe(load_recipe(written(tmp_path, text))) == text
    assert recipe.about
    assert all(phase.about for phase in recipe.phases)


@pytest.mark.parametrize("name", NAMES)
def test_a_bundled_recipe_cites_in_a_comment_what_it_follows(name):
    comments = [line for line in bundled_recipes()[name].read_text().splitlines() if line.startswith("#")]
    assert len(comments) >= 2
    assert any(word in " ".join(comments) for word in ("study", "Nguyen 2023", "Shen et al."))


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("name", NAMES)
def test_the_groups_of_every_bundled_recipe_exist(name, backbone):
    recipe = load_recipe(name, [f"backbone={backbone}"])
    model = build_model(recipe.architecture, device="meta")
    for phase in recipe.phases:
        names = [group.name for group in trained_groups(model, phase)]
        assert names[-1] == "head"
        assert len(names) == (phase.trained if isinstance(phase.trained, int) else len(names))
        with layers_trained(model, phase):
            optimiser = make_optimiser(model, phase)
            held = sum(len(group["params"]) for group in optimiser.param_groups)
            assert held == sum(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("name", ["study_small", "study_large", "progressive", "progressive_warmup"])
def test_unfreezing_goes_deeper_at_smaller_rates(name):
    model = build_model(Architecture(backbone="resnet10t"), device="meta")
    phases = load_recipe(name).phases
    steps = [(phase, len(trained_groups(model, phase))) for phase in phases if not phase.name.startswith("warmup")]
    assert steps[-1][1] == 6
    for (before, fewer), (after, more) in pairwise(steps):
        assert fewer < more
        assert max(learning_rates(model, before).values()) > max(learning_rates(model, after).values())


def test_layer_rates_of_improved_by_hand():
    recipe = load_recipe("improved", ["backbone=resnet10t"])
    rates = learning_rates(build_model(recipe.architecture, device="meta"), recipe.phases[1])
    expected = {f"stage{n}": 1e-4 * 0.7 ** (4 - n) for n in (1, 2, 3, 4)}
    assert rates == pytest.approx({"stem": 1e-4 * 0.7**4, **expected, "head": 2e-4})


def rsna_like(patients: int = 2000, every: int = 25) -> pd.DataFrame:
    """Two breasts of two views each; every 25th patient has a cancer in one of them: 2 % of breasts."""
    rows = [
        (f"{patient}{side}{view}", f"p{patient}", side, view, patient % every == 0 and side == "L")
        for patient in range(patients)
        for side in ("L", "R")
        for view in ("CC", "MLO")
    ]
    return pd.DataFrame(rows, columns=["image_id", "patient_id", "laterality", "view", "cancer"])


def test_subsets_weights_and_shifts_of_a_and_b_by_hand():
    """RSNA's 2 %: the warm-up has 80 positive breasts and 80 negative ones, the full set weighs positives 49 times."""
    table = rsna_like()
    rows = np.arange(len(table))
    warm, full = load_recipe("warmup_then_full").phases
    small, same = (subset_rows(table, rows, phase.subset) for phase in (warm, full))
    labels = table["cancer"].to_numpy(bool)
    assert (len(small), int(labels[small].sum()), len(same)) == (320, 160, 8000)
    first, second = seen_by_loss(warm, labels[small]), seen_by_loss(full, labels[same])
    assert (first.pos_weight, second.pos_weight) == pytest.approx((1.0, 49.0))
    assert first.log_odds == pytest.approx(0.0, abs=1e-12)
    assert bias_shift(first, second) == pytest.approx(0.0, abs=1e-12)
    natural, _ = load_recipe("natural_then_full").phases
    control = subset_rows(table, rows, natural.subset)
    assert len(control) == pytest.approx(320, abs=4)
    assert labels[control].mean() == pytest.approx(0.02, abs=0.006)


def test_without_weights_the_bias_follows_the_prevalence():
    table = rsna_like()
    labels = table["cancer"].to_numpy(bool)
    recipe = load_recipe("warmup_then_full", ["phases.*.pos_weight=1.0"])
    seen = [
        seen_by_loss(phase, labels[subset_rows(table, np.arange(len(table)), phase.subset)]) for phase in recipe.phases
    ]
    assert bias_shift(*seen) == pytest.approx(math.log(0.02 / 0.98))


@pytest.mark.parametrize(("name", "images"), [("study_small", 421), ("study_large", 2300)])
def test_the_studys_balanced_subsets(name, images):
    table = rsna_like(every=2)
    phase = load_recipe(name).phases[-1]
    rows = subset_rows(table, np.arange(len(table)), phase.subset)
    positives = int(table["cancer"].to_numpy(bool)[rows].sum())
    assert len(rows) == pytest.approx(images, abs=1)
    assert positives == pytest.approx(images / 2, abs=1)


def test_arms_differ_only_in_what_comes_first():
    single, warm, natural = (load_recipe(name) for name in ("single_stage", "warmup_then_full", "natural_then_full"))
    full = {recipe.phases[-1].model_copy(update={"about": ""}).model_dump_json() for recipe in (single, warm, natural)}
    assert len(full) == 1
    assert warm.phases[0].model_copy(update={"about": "", "subset": natural.phases[0].subset}) == natural.phases[
        0
    ].model_copy(update={"about": ""})
    assert load_recipe("progressive").phases == load_recipe("progressive_warmup").phases[1:]
    epochs = [sum(phase.epochs for phase in load_recipe(name).phases) for name in ("single_stage", "progressive")]
    assert epochs == [10, 10]


def test_changes_are_typed(tmp_path):
    path = written(tmp_path, SHORT)
    recipe = load_recipe(
        path,
        [
            "phases.*.epochs=1",
            "phases.0.learning_rate=2",
            "phases.1.subset.kind=balanced_groups",
            "phases.1.trained=2",
            "phases.0.pos_weight=balance",
            "backbone=resnet10t",
            "architecture.in_channels=1",
            "weights=/some/where/else.pth",
            "split.folds=5",
            "stated_prevalence=0.006",
            "calibration=false",
            "size=[512, 320]",
        ],
    )
    assert [phase.epochs for phase in recipe.phases] == [1, 1]
    assert recipe.phases[0].learning_rate == 2.0
    assert recipe.phases[0].pos_weight == "balance"
    assert (recipe.phases[1].subset.kind, recipe.phases[1].trained) == ("balanced_groups", 2)
    assert recipe.architecture == Architecture(backbone="resnet10t", in_channels=1)
    assert (recipe.weights, recipe.split.folds, recipe.size) == ("/some/where/else.pth", 5, (512, 320))
    assert (recipe.stated_prevalence, recipe.calibration) == (0.006, False)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("phases.*.epochs=1.5", r"--set phases.\*.epochs=1.5: phases.0.epochs is 1.5: .*; phases.1.epochs is 1.5: "),
        ("phases.0.epochs=true", "phases.0.epochs is True: Input should be a valid integer"),
        ("phases.0.epochs=0", "phases.0.epochs is 0: Input should be greater than or equal to 1"),
        ("phases.2.epochs=1", r"phases has no '2', expected one of 0, 1, or \* for all"),
        ("phases.0.epoch=1", "phases.0.epoch is 1: Extra inputs are not permitted"),
        ("phases.0.trained=most", "phases.0.trained is 'most'"),
        ("phases.0.sampling=often", "phases.0.sampling is 'often': Input should be 'shuffle', "),
        ("phases.0.warmup=nan", "phases.0.warmup is nan"),
        ("backbone=hf-hub:some/thing", "architecture.backbone is 'hf-hub:some/thing'"),
        ("pooling=median", "architecture.pooling is 'median': Input should be 'avg', 'breast', 'max' or 'gem'"),
        ("name.first=x", "name has no field 'first': it is one value"),
        ("phases.1.name=head", "phase name 'head' is given 2 times"),
        ("seed=2026-11-23", "seed is '2026-11-23': Input should be a valid integer"),
        ("epochs", "expected KEY=VALUE, such as phases.0.epochs=2"),
        ("=3", "expected KEY=VALUE"),
        ("learning=3", "learning is 3: Extra inputs are not permitted"),
    ],
)
def test_changes_that_do_not_fit_are_told(tmp_path, override, message):
    with pytest.raises(InputError, match=message):
        load_recipe(written(tmp_path, SHORT), [override])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("phases = 3", r"recipe.toml: name Field required; phases is 3"),
        ("name = ", "is not TOML"),
        (SHORT.replace("epochs = 3", 'epochs = "3"'), "phases.0.epochs is '3': Input should be a valid integer"),
        (SHORT.replace('"all"', '"head"'), "phase name 'head' is given 2 times"),
        ('name = "x"\nphases = []', "phases Tuple should have at least 1 item"),
        (SHORT.replace("trained = 1", 'schedule = "one_cycle"'), "phases.0: warmup is 0"),
    ],
)
def test_a_file_that_is_no_recipe_is_told(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        load_recipe(written(tmp_path, text))


def test_an_unknown_name_lists_the_known():
    with pytest.raises(
        InputError, match=r"recipe 'best': is neither a file nor a bundled recipe \(bundled: improved, "
    ):
        load_recipe("best")


def test_nothing_is_left_out_of_the_record():
    recipe = Recipe(name="r", phases=(Phase(name="p", epochs=1, learning_rate=0.1),))
    fields = tomllib.loads(dump_recipe(recipe))
    assert set(Recipe.model_fields) - set(fields) == {"size", "stated_prevalence"}  # None: TOML has no such value
    assert set(Phase.model_fields) == set(fields["phases"][0])


def test_what_the_model_sees():
    recipe = Recipe(name="r", phases=(Phase(name="p", epochs=1, learning_rate=0.1),))
    inputs = recipe.inputs(PREPARED)
    assert (inputs.height, inputs.width, inputs.margin) == (256, 192, 0.03)
    assert (inputs.mean, inputs.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    grey = recipe.model_copy(update={"architecture": Architecture(in_channels=1)})
    assert grey.inputs(PREPARED).mean == pytest.approx((0.449,))
    assert grey.inputs(PREPARED).std == pytest.approx((0.226,))
    breast = recipe.model_copy(update={"normalisation": "breast"})
    assert (breast.inputs(PREPARED).mean, breast.inputs(PREPARED).std) == ((0.25,) * 3, (0.25,) * 3)
