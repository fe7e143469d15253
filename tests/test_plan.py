"""Plans: what is refused, what folds mean, and that the bundled one fits its recipes."""

import pytest

from mammo_core.errors import InputError
from mammo_train.plan import Budget, Plan, bundled_plans, dump_plan, load_plan
from mammo_train.recipe import dump_recipe, load_recipe

SMALL = """
name = "small"
target_auc = 0.7
[budget]
passes = 2
[[arms]]
name = "one"
recipe = "single_stage"
[[arms]]
name = "two"
recipe = "warmup_then_full"
overrides = ["phases.0.epochs=1"]
[[questions]]
a = "two"
b = "one"
about = "Does it help?"
"""


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    return path


def test_a_plan_is_read_changed_and_written(small, tmp_path):
    plan = load_plan(small, ["budget.passes=3", "seeds=[4]", 'overrides=["backbone=resnet10t"]', "split.folds=5"])
    assert (plan.budget.passes, plan.seeds, plan.overrides) == (3, (4,), ("backbone=resnet10t",))
    (tmp_path / "again.toml").write_text(dump_plan(plan))
    assert load_plan(tmp_path / "again.toml") == plan


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ('arms.1.name="one"', "two arms have the same name"),
        ('questions.0.a="three"', "names the arm 'three', expected one of one, two"),
        ('questions.0.a="one"', "compares 'one' with itself"),
        ("budget.seconds=9", "expected either passes or seconds"),
        ("seeds=[1, 1]", "expected each once"),
        ("split.fold=1", "split.fold is 1, but every fold is trained"),
        ("target_auc=0.5", "target_auc is 0.5: Input should be greater than 0.5"),
        ('arms.0.name="../up"', "arms.0.name is '../up'"),
    ],
)
def test_what_does_not_fit_together_is_named(small, change, said):
    with pytest.raises(InputError) as told:
        load_plan(small, ["split.folds=5", change])
    assert said in str(told.value)
    assert f"--set {change}" in str(told.value)


def test_an_unknown_plan_lists_the_bundled_ones():
    with pytest.raises(InputError, match=r"plan 'none': is neither a file nor a bundled plan \(bundled: study\)"):
        load_plan("none")


def test_every_fold_is_the_test_part_once(small):
    plan = load_plan(small, ["split.folds=3"])
    assert [(one.fold, one.held_out) for one in plan.splits()] == [(0, "test"), (1, "test"), (2, "test")]
    assert load_plan(small).splits() == (plan.split.model_copy(update={"folds": None}),)


def test_the_budget_in_words():
    assert Budget(passes=10).in_words() == "as many images seen as 10 passes over the training part have"
    assert Budget(seconds=600).in_words() == "600 seconds of training"


@pytest.mark.parametrize("name", bundled_plans())
def test_bundled_plans_name_recipes_that_exist(name):
    plan = load_plan(name)
    assert plan.name == name
    assert all(load_recipe(arm.recipe, (*plan.overrides, *arm.overrides)).phases for arm in plan.arms)


def test_the_study_plan_is_two_by_two_and_a_control():
    plan = load_plan("study")
    assert isinstance(plan, Plan)
    assert [arm.recipe for arm in plan.arms] == [
        *("single_stage", "warmup_then_full", "progressive", "progressive_warmup", "natural_then_full")
    ]
    asked = {(question.a, question.b) for question in plan.questions}
    # Both effects at both levels of the other, and balance against size.
    assert asked == {
        *(("warmup", "single_stage"), ("progressive_warmup", "progressive")),
        *(("progressive", "single_stage"), ("progressive_warmup", "warmup")),
        ("warmup", "natural_warmup"),
    }


def test_recipes_beside_a_plan_are_found_from_anywhere(tmp_path, monkeypatch):
    folder = tmp_path / "study"
    (folder / "recipes").mkdir(parents=True)
    (folder / "recipes" / "mine.toml").write_text(dump_recipe(load_recipe("single_stage", ["name=mine"])))
    (folder / "plan.toml").write_text(SMALL.replace('recipe = "single_stage"', 'recipe = "recipes/mine.toml"'))
    monkeypatch.chdir(tmp_path)
    mine, bundled = load_plan("study/plan.toml").arms
    assert load_recipe(mine.recipe).name == "mine"
    assert bundled.recipe == "warmup_then_full"
