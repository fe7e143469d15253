"""A recipe or a plan as HTML: the phases as a timeline, and the form that edits it."""

import shlex
from collections.abc import Mapping, Sequence
from math import log10
from typing import Any

from pydantic import BaseModel

from mammo_core.phases import Phase
from mammo_gui.depth import Depth
from mammo_gui.draft import ITEM_ACTIONS, LISTS, Draft, Kind
from mammo_gui.markup import Markup, element, join
from mammo_gui.starts import Start
from mammo_gui.training import PhaseFacts, Screen
from mammo_gui.views.live import duration
from mammo_gui.views.settings_form import Choices, fields_html, group_html
from mammo_train.toml_settings import write_toml

_DECADES = 4
"""Learning rates that are told apart by the height of their bars."""
_REST: dict[Kind, str] = {
    "recipe": "network, weights, split and the rest",
    "plan": "budget, seeds, split and the rest",
}
"""Title of the fields that belong to no phase, arm or question."""


def timeline_html(draft: Draft, facts: Sequence[PhaseFacts], depths: Sequence[Depth]) -> Markup:
    """The phases side by side, each as wide as it has epochs, with its layers and their learning rates."""
    if draft.recipe is None:
        return element("p", "The timeline comes back when the recipe is right.", class_="dim pending")
    phases = draft.recipe.phases
    total = sum(phase.epochs for phase in phases)
    highest = max((rate for depth in depths for _, rate in depth if rate is not None), default=1.0)
    known: list[PhaseFacts | None] = [*facts] if facts else [None] * len(phases)
    blocks = [
        _block(phase, fact, phase.epochs / total, _depth(depth, highest))
        for phase, fact, depth in zip(phases, known, depths or [()] * len(phases), strict=True)
    ]
    return element("ol", *blocks, class_="timeline", id="timeline")


def form_html(draft: Draft, recipes: Sequence[str], starts: Sequence[Start]) -> Markup:
    """Every field of the recipe or the plan; the members of its lists one after the other, closed.

    ``starts`` are runs that a recipe may begin with.
    """
    # Imports torch, which takes seconds: not before somebody edits a recipe.
    from mammo_train.plan import Plan
    from mammo_train.recipe import Recipe

    whole = draft.problems.get("")
    model = Recipe if draft.kind == "recipe" else Plan
    arms = tuple(str(arm.get("name")) for arm in draft.fields.get("arms") or [])
    choices = {"recipe": tuple(recipes), "a": arms, "b": arms} if draft.kind == "plan" else {}
    lists = [_items(draft, name, choices) for name in LISTS[draft.kind]]
    beside = {"weights": _starts(starts, draft.fields.get("weights"))} if starts and draft.kind == "recipe" else {}
    others = fields_html(model, draft.fields, draft.problems, beside=beside)
    return join(
        element("p", whole, class_="failed") if whole else None,
        *lists,
        group_html(_REST[draft.kind], others, _others(draft), "recipe"),
    )


def _starts(starts: Sequence[Start], weights: object) -> Markup:
    """Finished runs, to begin with the backbone of one of them instead of typing where it lies."""
    files = [str(start.file) for start in starts]
    title = "or a finished run"
    none = element("option", f"{title} ...", value="", disabled=True, selected=weights not in files)
    listed = [
        element("option", _start_words(start), value=file, selected=file == weights)
        for start, file in zip(starts, files, strict=True)
    ]
    return element(
        "select",
        none,
        *listed,
        name="weights-of-run",
        data_action="edit",
        data_field="weights",
        aria_label="Begin with the backbone of a finished run",
    )


def _start_words(start: Start) -> str:
    return start.title if start.roc_auc is None else f"{start.title}, ROC-AUC {start.roc_auc:.3f}"


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


def _block(phase: Phase, fact: PhaseFacts | None, width: float, depth: Markup) -> Markup:
    images = "whole training part" if phase.subset.kind == "all" else phase.subset.kind.replace("_", " ")
    if fact is not None:
        images += f": {fact.images} images, {fact.positives / max(fact.images, 1):.1%} positive"
    times = f", about {duration(fact.seconds)} here" if fact is not None and fact.seconds else ""
    return element(
        "li",
        element("b", phase.name),
        element("span", f"{phase.epochs} epochs{times}"),
        element("span", images),
        depth,
        title=phase.about,
        style=f"flex-grow: {max(width, 0.12):.3f}",
        class_="whole" if phase.trained == "all" else "part",
        data_epochs=str(phase.epochs),
    )


def _depth(depth: Depth, highest: float) -> Markup:
    """Layer groups from the stem to the head: how high a bar stands is its learning rate, on a logarithmic scale."""
    trained = [(name, rate) for name, rate in depth if rate is not None]
    if not trained:
        return Markup("")
    bars = [
        element(
            "i",
            title=f"{name}: {'frozen' if rate is None else f'{rate:.2g}'}",
            style=None if rate is None else f"--high: {_height(rate / highest):.2f}",
            class_="frozen" if rate is None else None,
        )
        for name, rate in depth
    ]
    (first, slowest), (last, fastest) = trained[0], trained[-1]
    layers = "all layers" if len(trained) == len(depth) else f"{first} to {last}" if first != last else f"{last} alone"
    rates = (
        f"rate {fastest:.2g}"
        if slowest == fastest
        else f"rate {slowest:.2g} at the {first}, {fastest:.2g} at the {last}"
    )
    return join(element("span", f"{layers}, {rates}"), element("div", *bars, class_="depth", aria_hidden="true"))


def _height(part: float) -> float:
    """A part of the highest rate -> the part of the full height that its bar has: a quarter less for each decade."""
    return max(1 + log10(part) / _DECADES, 0.1)


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
    problem = screen.desk.problem
    return join(
        element("div", *modes, class_="buttons modes"),
        None if screen.desk.mode == "runs" else _begin(screen),
        element("p", problem, class_="loud", role="alert", id="train-problem") if problem else None,
    )


def terminal_html(screen: Screen) -> Markup:
    """The same in a terminal: the command line, and the file that it reads where what is edited was not kept."""
    edited = screen.desk.edited
    if screen.desk.mode == "runs" or edited is None or edited.settings is None:
        return Markup("")
    command, out = ("compare", "OUT") if edited.kind == "plan" else ("train", "RUN")
    file = f"{edited.kind}.toml"
    words = shlex.join(["mammo", command, screen.named or file, screen.desk.data or "SET", out])
    listing = None
    if not screen.named:
        toml = write_toml(edited.settings)
        about = element("span", f"{file}, as it was edited:", class_="dim")
        listing = join(element("p", about, " ", _copy(toml, "Copy it")), element("pre", element("code", toml)))
    return element(
        "details",
        element("summary", "The same in a terminal"),
        element("p", element("code", words), " ", _copy(words, "Copy")),
        listing,
        class_="where",
        data_key="terminal",
    )


def _copy(text: str, title: str) -> Markup:
    return element("button", title, type="button", data_copy=text)


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
        data_draft="train-start",
        data_shows="train-job",
        data_recorded=screen.desk.recorded or None,
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
        data_draft="train-save",
        data_recorded=screen.desk.recorded or None,
        class_="start",
    )
    measure = element("button", "Estimate the time", type="button", data_action="estimate", data_shows="train-job")
    return join(save, measure, forget if screen.desk.base in screen.saved else None)
