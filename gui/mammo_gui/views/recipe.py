"""A recipe as HTML: its phases as a timeline, and the form that edits it."""

from collections.abc import Mapping, Sequence
from typing import Any

from mammo_core.phases import Phase
from mammo_gui.markup import Markup, element, join
from mammo_gui.recipe_form import PHASE_ACTIONS, Draft
from mammo_gui.training import PhaseFacts, Screen
from mammo_gui.views.settings_form import fields_html, group_html


def timeline_html(draft: Draft, facts: Sequence[PhaseFacts]) -> Markup:
    """The phases side by side, each as wide as it has epochs, and as much of it filled as it trains layers."""
    if draft.recipe is None:
        return element("p", "The timeline comes back when the recipe is right.", class_="dim")
    total = sum(phase.epochs for phase in draft.recipe.phases)
    known: list[PhaseFacts | None] = [*facts] if facts else [None] * len(draft.recipe.phases)
    blocks = [_block(phase, fact, phase.epochs / total) for phase, fact in zip(draft.recipe.phases, known, strict=True)]
    return element("ol", *blocks, class_="timeline", id="timeline")


def form_html(draft: Draft) -> Markup:
    """Every field of the recipe; its phases one after the other, closed."""
    # Imports torch, which takes seconds: not before somebody edits a recipe.
    from mammo_train.recipe import Recipe

    whole = draft.problems.get("")
    phases = draft.fields.get("phases") or []
    return join(
        element("p", whole, class_="failed") if whole else None,
        *(_phase(number, phase, draft.problems, len(phases)) for number, phase in enumerate(phases)),
        group_html(
            "everything else", fields_html(Recipe, draft.fields, draft.problems), _others(draft.problems), "recipe"
        ),
    )


def _phase(number: int, phase: Mapping[str, Any], problems: Mapping[str, str], count: int) -> Markup:
    path = f"phases.{number}"
    buttons = [
        element("button", title, type="button", data_action="phase", data_number=str(number), data_how=action)
        for action, title in PHASE_ACTIONS.items()
        if action == "copy"
        or (action == "remove" and count > 1)
        or (action == "up" and number > 0)
        or (action == "down" and number < count - 1)
    ]
    body = join(
        element("div", *buttons, class_="buttons"),
        fields_html(Phase, phase, problems, f"{path}."),
    )
    return group_html(f"phase {number + 1}: {phase.get('name') or 'without a name'}", body, problems, path)


def _others(problems: Mapping[str, str]) -> dict[str, str]:
    """Problems outside the phases, as if they were in a group of their own."""
    return {f"recipe.{path}": text for path, text in problems.items() if path and not path.startswith("phases")}


def _block(phase: Phase, fact: PhaseFacts | None, width: float) -> Markup:
    trained = "all layers" if phase.trained == "all" else f"last {phase.trained} groups"
    rates = f"rate {phase.learning_rate:g}"
    if phase.trained != 1:
        rates += f", backbone x {phase.backbone_rate:g}, x {phase.layer_decay:g} per group below"
    images = phase.subset.kind.replace("_", " ")
    if fact is not None:
        images += f": {fact.images} images, {fact.positives / max(fact.images, 1):.1%} positive"
    return element(
        "li",
        element("b", phase.name),
        element("span", f"{phase.epochs} epochs"),
        element("span", images),
        element("span", trained),
        element("span", rates),
        title=phase.about,
        style=f"flex-grow: {max(width, 0.12):.3f}",
        class_="whole" if phase.trained == "all" else "part",
        data_epochs=str(phase.epochs),
    )


def start_html(screen: Screen) -> Markup:
    """Which recipe is begun with, and the button that starts it."""
    # Imports torch, as `form_html` does.
    from mammo_train.recipe import bundled_recipes

    recipes = [element("option", name, value=name, selected=name == screen.desk.base) for name in bundled_recipes()]
    select = element("select", *recipes, name="base", data_action="base", aria_label="Recipe")
    return element(
        "div",
        element("label", element("span", "Recipe"), select, class_="field"),
        element(
            "form",
            element("input", type="text", name="title", placeholder="Name of the run", aria_label="Name of the run"),
            element("button", "Start", type="submit", class_="primary"),
            data_action="start",
            class_="start",
        ),
        class_="begin",
    )
