"""A recipe or a plan as HTML: the phases as a timeline, and the form that edits it."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from mammo_core.phases import Phase
from mammo_gui.draft import ITEM_ACTIONS, LISTS, Draft
from mammo_gui.markup import Markup, element, join
from mammo_gui.training import PhaseFacts, Screen
from mammo_gui.views.settings_form import Choices, fields_html, group_html
from mammo_gui.views.training import duration


def timeline_html(draft: Draft, facts: Sequence[PhaseFacts]) -> Markup:
    """The phases side by side, each as wide as it has epochs, and as much of it filled as it trains layers."""
    if draft.recipe is None:
        return element("p", "The timeline comes back when the recipe is right.", class_="dim")
    total = sum(phase.epochs for phase in draft.recipe.phases)
    known: list[PhaseFacts | None] = [*facts] if facts else [None] * len(draft.recipe.phases)
    blocks = [_block(phase, fact, phase.epochs / total) for phase, fact in zip(draft.recipe.phases, known, strict=True)]
    return element("ol", *blocks, class_="timeline", id="timeline")


def form_html(draft: Draft, recipes: Sequence[str]) -> Markup:
    """Every field of the recipe or the plan; the members of its lists one after the other, closed."""
    # Imports torch, which takes seconds: not before somebody edits a recipe.
    from mammo_train.plan import Plan
    from mammo_train.recipe import Recipe

    whole = draft.problems.get("")
    model = Recipe if draft.kind == "recipe" else Plan
    arms = tuple(str(arm.get("name")) for arm in draft.fields.get("arms") or [])
    choices = {"recipe": tuple(recipes), "a": arms, "b": arms} if draft.kind == "plan" else {}
    lists = [_items(draft, name, choices) for name in LISTS[draft.kind]]
    others = fields_html(model, draft.fields, draft.problems)
    return join(
        element("p", whole, class_="failed") if whole else None,
        *lists,
        group_html("everything else", others, _others(draft), "recipe"),
    )


def _items(draft: Draft, name: str, choices: Choices) -> Markup:
    from mammo_train.plan import Arm, Question

    kinds: dict[str, type[BaseModel]] = {"phases": Phase, "arms": Arm, "questions": Question}
    items = draft.fields.get(name) or []
    add = element(
        "button", "Add a question", type="button", data_action="item", data_list=name, data_number="0", data_how="add"
    )
    return join(
        *(
            _item(kinds[name], name, number, item, draft.problems, len(items), choices)
            for number, item in enumerate(items)
        ),
        element("div", add, class_="buttons") if name == "questions" else None,
    )


def _item(
    kind: type[BaseModel],
    name: str,
    number: int,
    item: Mapping[str, Any],
    problems: Mapping[str, str],
    count: int,
    choices: Choices,
) -> Markup:
    path = f"{name}.{number}"
    buttons = [
        element(
            "button",
            title,
            type="button",
            data_action="item",
            data_list=name,
            data_number=str(number),
            data_how=action,
        )
        for action, title in ITEM_ACTIONS.items()
        if action == "copy"
        or (action == "remove" and (count > 1 or name == "questions"))
        or (action == "up" and number > 0)
        or (action == "down" and number < count - 1)
    ]
    body = join(
        element("div", *buttons, class_="buttons"),
        fields_html(kind, item, problems, f"{path}.", choices),
    )
    called = item.get("name") or f"{item.get('a')} - {item.get('b')}"
    return group_html(f"{name.removesuffix('s')} {number + 1}: {called}", body, problems, path)


def _others(draft: Draft) -> dict[str, str]:
    """Problems outside the lists, as if they were in a group of their own."""
    listed = LISTS[draft.kind]
    return {f"recipe.{path}": text for path, text in draft.problems.items() if path and not path.startswith(listed)}


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
        element("span", f"about {duration(fact.seconds)} here") if fact is not None and fact.seconds else None,
        title=phase.about,
        style=f"flex-grow: {max(width, 0.12):.3f}",
        class_="whole" if phase.trained == "all" else "part",
        data_epochs=str(phase.epochs),
    )


def start_html(screen: Screen) -> Markup:
    """What is done here, what is begun with, and the buttons that start it."""
    titles = {"train": "Train a recipe", "compare": "Compare recipes", "runs": "Runs"}
    modes = [
        element(
            "button",
            title,
            type="button",
            data_action="mode",
            data_mode=mode,
            aria_pressed="true" if mode == screen.desk.mode else "false",
        )
        for mode, title in titles.items()
    ]
    return join(element("div", *modes, class_="buttons modes"), None if screen.desk.mode == "runs" else _begin(screen))


def _begin(screen: Screen) -> Markup:
    # Imports torch, as `form_html` does.
    from mammo_train.plan import bundled_plans

    comparing = screen.desk.mode == "compare"
    names = tuple(bundled_plans()) if comparing else screen.recipes
    base = screen.desk.plan_base if comparing else screen.desk.base
    title = "Plan" if comparing else "Recipe"
    listed = [element("option", name, value=name, selected=name == base) for name in names]
    select = element("select", *listed, name="base", data_action="base", aria_label=title)
    placeholder = "Name of the comparison" if comparing else "Name of the run"
    start = element(
        "form",
        element("input", type="text", name="title", placeholder=placeholder, aria_label=placeholder),
        element("button", "Start", type="submit", class_="primary"),
        data_action="start",
        class_="start",
    )
    more = None if comparing else _keeping(screen)
    return element("div", element("label", element("span", title), select, class_="field"), start, more, class_="begin")


def _keeping(screen: Screen) -> Markup:
    """Keeping the recipe under a name, forgetting it, and measuring how long it would take."""
    forget = element(
        "button",
        "Delete this recipe",
        type="button",
        data_action="forget",
        data_name=screen.desk.base,
        data_confirm=f"Delete the saved recipe {screen.desk.base!r}?",
        class_="quiet",
    )
    save = element(
        "form",
        element("input", type="text", name="name", placeholder="Save the recipe as", aria_label="Save the recipe as"),
        element("button", "Save", type="submit"),
        data_action="save",
        class_="start",
    )
    measure = element("button", "Estimate the time", type="button", data_action="estimate")
    return join(save, measure, forget if screen.desk.base in screen.saved else None)
