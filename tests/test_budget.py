"""Equal budgets: images seen by recipes of different phases, counted by hand."""

import numpy as np
import pandas as pd
import pytest

from mammo_core.errors import InputError
from mammo_core.phases import Phase, Subset
from mammo_train.budget import images_seen, within
from mammo_train.plan import Budget, load_plan
from mammo_train.recipe import Recipe, load_recipe
from mammo_train.split import SplitSettings, make_split

# 100 breasts of one image each, 10 positive: a balanced warm-up has 20 images.
TABLE = pd.DataFrame(
    {
        "image_id": [f"i{i:03}" for i in range(100)],
        "patient_id": [f"p{i:03}" for i in range(100)],
        "laterality": "L",
        "cancer": np.arange(100) < 10,
    }
)
ROWS = np.arange(100)
WARMUP = Phase(name="warmup", subset=Subset(kind="balanced_groups"), epochs=5, learning_rate=0.1, patience=3)
FULL = Phase(name="full", epochs=10, learning_rate=0.1)


def cut(phases, passes):
    recipe = within(Recipe(name="made", phases=phases), Budget(passes=passes), TABLE, ROWS)
    return [phase.epochs for phase in recipe.phases], images_seen(recipe, TABLE, ROWS)


def test_images_seen_by_hand():
    assert images_seen(Recipe(name="made", phases=(WARMUP, FULL)), TABLE, ROWS) == 5 * 20 + 10 * 100
    # Balanced batches repeat the positives until they are as many as the negatives: 90 of each.
    balanced = FULL.model_copy(update={"sampling": "balanced"})
    assert images_seen(Recipe(name="made", phases=(balanced,)), TABLE, ROWS) == 10 * 180


def test_the_warm_up_is_paid_from_the_same_budget():
    assert cut((FULL,), 10) == ([10], 1000)
    # 1,100 images are to become 1,000: 5 * 10 / 11 = 4.5 warm-up epochs, and the rest for the full set.
    assert cut((WARMUP, FULL), 10) == ([5, 9], 1000)
    assert cut((WARMUP, FULL), 20) == ([9, 18], 1980)
    assert cut((FULL.model_copy(update={"name": "first"}), FULL), 4) == ([2, 2], 400)


def test_no_phase_ends_early():
    recipe = within(Recipe(name="made", phases=(WARMUP, FULL)), Budget(seconds=60), TABLE, ROWS)
    assert [phase.patience for phase in recipe.phases] == [0, 0]
    assert [phase.epochs for phase in recipe.phases] == [5, 10]


def test_a_recipe_that_does_not_fit_is_refused():
    phases = tuple(FULL.model_copy(update={"name": f"p{i}"}) for i in range(4))
    with pytest.raises(InputError, match=r"recipe made: does not fit 200 images: .* its 4 phases sees 400 images"):
        cut(phases, 2)


def test_the_arms_of_the_study_see_as_many_images_on_rsna(shared):
    table = pd.read_csv(shared / "rsna_train.csv", dtype=str)
    table["cancer"] = table["cancer"] == "1"
    plan = load_plan("study")
    rows = make_split(table, SplitSettings()).rows(table, "train")
    wanted = plan.budget.passes * len(rows)
    for arm in plan.arms:
        seen = images_seen(within(load_recipe(arm.recipe), plan.budget, table, rows), table, rows)
        assert abs(seen / wanted - 1) < 0.03, arm.name
