"""A recipe while it is edited: fields as they were typed, and what is wrong with them, field by field.

The recipe's own model says what is right; nothing of it is written here a second time. Knows nothing of HTML.
"""

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mammo_core.errors import InputError

if TYPE_CHECKING:
    from mammo_train.recipe import Recipe

PHASE_ACTIONS = {"copy": "Copy", "remove": "Remove", "up": "Earlier", "down": "Later"}


@dataclass(frozen=True)
class Draft:
    """A recipe that may not be right yet."""

    fields: dict[str, Any]
    """As JSON holds them; None is what is left out."""
    recipe: "Recipe | None"
    """None while something is wrong."""
    problems: dict[str, str] = field(default_factory=dict)
    """Path of a field (``phases.0.epochs``; empty: the whole) -> what is wrong with it."""


def bundled_draft(name: str) -> Draft:
    """Begin with a bundled recipe; InputError for a name that is none."""
    from mammo_train.recipe import bundled_recipes, load_recipe

    if name not in bundled_recipes():
        raise InputError("recipe", f"{name[:60]!r} is not one of {', '.join(bundled_recipes())}")
    recipe = load_recipe(name)
    return Draft(recipe.model_dump(mode="json"), recipe)


def draft_of(toml: str) -> Draft:
    """Begin with the recipe of an earlier job."""
    import tomllib

    return _checked(tomllib.loads(toml))


def typed(draft: Draft, path: str, text: str) -> Draft:
    """Put what was typed into a field; InputError for a path that the recipe does not have."""
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
    return _checked(fields)


def with_phase(draft: Draft, number: int, action: str) -> Draft:
    """Copy, remove or move a phase."""
    fields = json.loads(json.dumps(draft.fields))
    phases = fields["phases"]
    if action not in PHASE_ACTIONS or not 0 <= number < len(phases):
        raise InputError("phase", f"{action[:20]!r} of number {number} cannot be done")
    if action == "copy":
        names = {phase.get("name") for phase in phases}
        copy = json.loads(json.dumps(phases[number]))
        copy["name"] = next(name for n in range(2, 99) if (name := f"{copy['name']}_{n}") not in names)
        phases.insert(number + 1, copy)
    elif action == "remove":
        del phases[number]
    else:
        place = max(0, min(len(phases) - 1, number + (1 if action == "down" else -1)))
        phases.insert(place, phases.pop(number))
    return _checked(fields)


def _is_name(last: str) -> bool:
    """Whether a field is free text, by the models that have such."""
    from mammo_core.phases import Phase
    from mammo_train.recipe import Recipe

    return any(kind.model_fields[last].annotation is str for kind in (Recipe, Phase) if last in kind.model_fields)


def _inside(fields: Any, way: list[str], path: str) -> Any:
    for part in way:
        fields = fields[_key(fields, part, path)]
    return fields


def _key(inside: Any, part: str, path: str) -> Any:
    if isinstance(inside, list) and part.isdigit() and int(part) < len(inside):
        return int(part)
    if isinstance(inside, dict) and part in inside:
        return part
    raise InputError("recipe", f"has no field {path[:80]!r}")


def _checked(fields: dict[str, Any]) -> Draft:
    from mammo_train.recipe import Recipe
    from mammo_train.toml_settings import checked

    recipe, problems = checked(Recipe, _without_none(fields))
    return Draft(fields if recipe is None else recipe.model_dump(mode="json"), recipe, problems)


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_none(inner) for name, inner in value.items() if inner is not None}
    return [_without_none(inner) for inner in value] if isinstance(value, list) else value
