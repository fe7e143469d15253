"""A recipe edited field by field: the model says what is right, and its words stand beside the field."""

import re
from html import unescape

import pytest

from mammo_core.errors import InputError
from mammo_core.phases import Phase
from mammo_gui.depth import depths
from mammo_gui.draft import Draft, draft_of, typed, with_item
from mammo_gui.training import PhaseFacts, plan_draft
from mammo_gui.views.recipe import form_html, timeline_html
from mammo_train.plan import load_plan
from mammo_train.recipe import Recipe, bundled_recipes, dump_recipe, load_recipe


def bundled_draft(name: str) -> Draft:
    return draft_of("recipe", dump_recipe(load_recipe(name)))


@pytest.mark.parametrize("name", sorted(bundled_recipes()))
def test_every_bundled_recipe_goes_through_the_form_unchanged(name: str) -> None:
    draft = bundled_draft(name)
    assert draft.recipe == load_recipe(name)
    assert draft_of("recipe", dump_recipe(draft.recipe)).recipe == draft.recipe
    html = form_html(draft, (), ())
    for number in range(len(draft.recipe.phases)):
        for field in Phase.model_fields:
            if field not in ("subset", "augmentation"):
                assert f'name="phases.{number}.{field}"' in html
    assert 'name="architecture.backbone"' in html
    # What the form shows is what the recipe has: typing it again changes nothing.
    again = draft
    shown = re.findall(r'<input type="text" value="([^"]*)" name="([^"]*)"', html)
    assert len(shown) > 20
    for value, path in shown:
        again = typed(again, path, unescape(value))
    assert again.recipe == draft.recipe


def test_what_is_typed_is_checked_by_the_recipes_own_model() -> None:
    draft = bundled_draft("warmup_then_full")
    good = typed(draft, "phases.0.epochs", "7")
    assert good.recipe.phases[0].epochs == 7
    assert typed(good, "phases.0.trained", "2").recipe.phases[0].trained == 2
    assert typed(good, "phases.0.pos_weight", "balance").recipe.phases[0].pos_weight == "balance"
    assert typed(good, "size", "[256, 192]").recipe.size == (256, 192)
    assert typed(good, "stated_prevalence", "0.02").recipe.stated_prevalence == 0.02
    assert typed(good, "stated_prevalence", "").recipe.stated_prevalence is None
    assert typed(good, "calibration", "false").recipe.calibration is False
    assert typed(good, "about", "2").recipe.about == "2", "text stays text"
    bad = typed(good, "phases.0.epochs", "0")
    assert (bad.recipe, list(bad.problems)) == (None, ["phases.0.epochs"])
    assert "greater than or equal to 1" in bad.problems["phases.0.epochs"]
    worse = typed(bad, "phases.1.learning_rate", "<fast>")
    assert set(worse.problems) >= {"phases.0.epochs", "phases.1.learning_rate"}
    html = form_html(worse, (), ())
    assert html.count("to correct") == 2, "each phase says so from outside"
    assert "&lt;fast&gt;" in html
    assert "<fast>" not in html
    assert typed(typed(worse, "phases.0.epochs", "7"), "phases.1.learning_rate", "0.001").recipe is not None
    with pytest.raises(InputError, match=r"has no field 'phases\.0\.nothing'"):
        typed(draft, "phases.0.nothing", "1")
    with pytest.raises(InputError, match="is a group of fields"):
        typed(draft, "phases.0.subset", "1")


def test_phases_are_copied_moved_and_removed() -> None:
    draft = bundled_draft("warmup_then_full")
    names = [phase.name for phase in draft.recipe.phases]
    copied = with_item(draft, "phases", 0, "copy")
    assert [phase.name for phase in copied.recipe.phases] == [names[0], f"{names[0]}_2", names[1]]
    assert [phase.name for phase in with_item(draft, "phases", 0, "down").recipe.phases] == names[::-1]
    removed = with_item(draft, "phases", 0, "remove")
    assert [phase.name for phase in removed.recipe.phases] == names[1:]
    none = with_item(removed, "phases", 0, "remove")
    assert none.recipe is None
    assert "phases" in none.problems
    for number, action in ((5, "copy"), (0, "explode")):
        with pytest.raises(InputError, match="cannot be done"):
            with_item(draft, "phases", number, action)


def test_the_help_is_the_fields_own_docstring_and_choices_are_the_models() -> None:
    html = unescape(form_html(bundled_draft("single_stage"), (), ()))
    for field in ("batch_size", "learning_rate", "ema"):
        assert (Phase.model_fields[field].description or "nothing") in html
    assert "(more than 0, at most 10)" in html
    for choice in ("constant", "cosine", "one_cycle", "plateau"):
        assert f'<option value="{choice}"' in html
    assert (Recipe.model_fields["metric"].description or "nothing") in html


def test_the_timeline_shows_subsets_with_their_prevalence() -> None:
    draft = bundled_draft("warmup_then_full")
    html = timeline_html(draft, (PhaseFacts(10, 5, 4000.0), PhaseFacts(200, 4, None)), depths(draft.recipe))
    assert "10 images, 50.0% positive" in html
    assert "about 67 min here" in html
    assert "200 images, 2.0% positive" in html
    epochs = [phase.epochs for phase in draft.recipe.phases]
    assert [int(each) for each in re.findall(r'data-epochs="(\d+)"', html)] == epochs
    assert "comes back when the recipe is right" in timeline_html(typed(draft, "phases.0.epochs", "0"), (), ())


def test_the_timeline_draws_layers_with_their_learning_rates() -> None:
    draft = bundled_draft("progressive")
    html = unescape(timeline_html(draft, (), depths(draft.recipe)))
    assert "head alone, rate 0.001" in html
    assert "stage4 to head, rate 0.0003" in html
    assert "all layers, rate 3.1e-06 at the stem, 5e-05 at the head" in html
    assert html.count('class="frozen"') == 5 + 4 + 3, "stem and four stages, then fewer"
    # The head's 0.001 is the highest of all; 0.0001 is a decade less, of four that are told apart.
    assert html.count("--high: 1.00") == 1
    assert 'title="stage4: 0.0001" style="--high: 0.75"' in html


def test_a_network_that_cannot_be_is_said_beside_its_field() -> None:
    draft = bundled_draft("warmup_then_full")
    none = typed(draft, "architecture.backbone", "resnet999")
    assert (none.recipe, list(none.problems)) == (None, ["architecture.backbone"])
    assert "has no model 'resnet999'" in unescape(form_html(none, (), ()))
    small = typed(typed(draft, "architecture.backbone", "shvit_s1"), "architecture.stages", "4")
    assert (small.recipe, small.problems) == (None, {"architecture.stages": "is 4, but SHViT has not so many"})
    deep = typed(draft, "phases.1.trained", "9")
    assert (deep.recipe, list(deep.problems)) == (None, ["phases.1.trained"])
    assert "resnet101 has 6 groups (stem, stage1, stage2, stage3, stage4, head)" in form_html(deep, (), ())
    assert typed(deep, "phases.1.trained", "6").recipe is not None


def test_a_plan_is_edited_like_a_recipe() -> None:
    draft = plan_draft("study")
    assert draft.plan == load_plan("study")
    html = form_html(draft, ("single_stage", "mine"), ())
    assert '<option value="mine">' in html
    assert '<option value="single_stage" selected>' in html
    assert html.count('data-how="remove"') == len(draft.plan.arms) + len(draft.plan.questions)
    edited = typed(draft, "arms.0.recipe", "mine")
    edited = typed(typed(edited, "budget.passes", "2"), "arms.0.overrides", '["backbone=resnet18"]')
    assert (edited.plan.arms[0].recipe, edited.plan.budget.passes) == ("mine", 2.0)
    assert edited.plan.arms[0].overrides == ("backbone=resnet18",)
    asked = with_item(draft, "questions", 0, "add")
    assert asked.plan is None, "an empty question is not right yet"
    last = len(draft.plan.questions)
    assert {f"questions.{last}.a", f"questions.{last}.b"} <= set(asked.problems)
    assert with_item(asked, "questions", last, "remove").plan == draft.plan
    with pytest.raises(InputError, match="phases"):
        with_item(draft, "phases", 0, "copy")
