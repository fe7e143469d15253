"""A recipe or a plan while somebody edits it: what was typed, checked by the settings' own model.

The model says what is right; nothing of it is written here a second time. Knows nothing of HTML.
"""

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

from mammo_core.errors import InputError
from mammo_gui.depth import network_problems

if TYPE_CHECKING:
    from mammo_core.settings import Settings
    from mammo_train.plan import Plan
    from mammo_train.recipe import Recipe

Kind = Literal["recipe", "plan"]
LISTS: dict[Kind, tuple[str, ...]] = {"recipe": ("phases",), "plan": ("arms", "questions")}
"""Fields that are lists of groups of fields."""
ITEM_ACTIONS = {"copy": "Copy", "remove": "Remove", "up": "Earlier", "down": "Later"}
_EMPTY: dict[str, dict[str, str]] = {"questions": {"a": "", "b": "", "about": ""}}
"""What is added to a list that may be empty."""


@dataclass(frozen=True)
class Draft:
    """A recipe or a plan that may not be right yet."""

    kind: Kind
    fields: dict[str, Any]
    """As JSON holds them; None is what is left out."""
    settings: "Settings | None"
    """None while something is wrong."""
    problems: dict[str, str] = field(default_factory=dict)
    """Path of a field (``phases.0.epochs``; empty: the whole) -> what is wrong with it."""

    @property
    def recipe(self) -> "Recipe | None":
        """The recipe; None while something is wrong."""
        return cast("Recipe | None", self.settings)

    @property
    def plan(self) -> "Plan | None":
        """The plan; None while something is wrong."""
        return cast("Plan | None", self.settings)


def draft_of(kind: Kind, toml: str) -> Draft:
    """Begin with a recipe or a plan as TOML."""
    import tomllib

    return _checked(kind, tomllib.loads(toml))


def typed(draft: Draft, path: str, text: str) -> Draft:
    """Put what was typed into a field; InputError for a path that the settings do not have."""
    from mammo_train.toml_settings import value_of

    fields = json.loads(json.dumps(draft.fields))
    *way, last = path.split(".")
    inside = _inside(fields, way, path)
    key = _key(inside, last, path)
    before = inside[key] if isinstance(inside, list) else inside.get(key)
    if isinstance(before, dict):
        raise InputError(path[:80], "is a group of fields, no field")
    # What is text stays text, also where it looks like a number; nothing is what a field that may be missing says.
    inside[key] = text if isinstance(before, str) and _is_name(last) else value_of(text) if text else None
    return _checked(draft.kind, fields)


def with_item(draft: Draft, name: str, number: int, action: str) -> Draft:
    """Copy, remove or move a member of a list of groups; "add" puts an empty one at its end."""
    fields = json.loads(json.dumps(draft.fields))
    items = fields.get(name) if name in LISTS[draft.kind] else None
    possible = action in ITEM_ACTIONS and isinstance(items, list) and 0 <= number < len(items)
    if not isinstance(items, list) or not (possible or (action == "add" and name in _EMPTY)):
        raise InputError(name[:20], f"{action[:20]!r} of number {number} cannot be done")
    if action == "add":
        items.append(dict(_EMPTY[name]))
    elif action == "copy":
        items.insert(number + 1, _renamed(items, number))
    elif action == "remove":
        del items[number]
    else:
        place = max(0, min(len(items) - 1, number + (1 if action == "down" else -1)))
        items.insert(place, items.pop(number))
    return _checked(draft.kind, fields)


def _renamed(items: list[dict[str, Any]], number: int) -> dict[str, Any]:
    """A copy of a member, under a name that no other has."""
    copy: dict[str, Any] = json.loads(json.dumps(items[number]))
    if "name" in copy:
        names = {item.get("name") for item in items}
        copy["name"] = next(name for n in range(2, 99) if (name := f"{copy['name']}_{n}") not in names)
    return copy


def _is_name(last: str) -> bool:
    """Whether a field is free text, by the models that have such."""
    from mammo_core.phases import Phase
    from mammo_train.plan import Arm, Plan, Question
    from mammo_train.recipe import Recipe

    kinds = (Recipe, Phase, Plan, Arm, Question)
    free = any(kind.model_fields[last].annotation is str for kind in kinds if last in kind.model_fields)
    return free or last in ("name", "file")


def _inside(fields: Any, way: list[str], path: str) -> Any:
    for part in way:
        fields = fields[_key(fields, part, path)]
    return fields


def _key(inside: Any, part: str, path: str) -> Any:
    if isinstance(inside, list) and part.isdigit() and int(part) < len(inside):
        return int(part)
    if isinstance(inside, dict) and part in inside:
        return part
    raise InputError("form", f"has no field {path[:80]!r}")


def _checked(kind: Kind, fields: dict[str, Any]) -> Draft:
    from mammo_train.plan import Plan
    from mammo_train.recipe import Recipe
    from mammo_train.toml_settings import checked

    model: type[Settings] = Recipe if kind == "recipe" else Plan
    settings, problems = checked(model, _without_none(fields))
    if isinstance(settings, Recipe):
        problems = network_problems(settings)
        settings = None if problems else settings
    return Draft(kind, fields if settings is None else settings.model_dump(mode="json"), settings, problems)


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_none(inner) for name, inner in value.items() if inner is not None}
    return [_without_none(inner) for inner in value] if isinstance(value, list) else value
