"""Which layers of a network a recipe's phases train, and how fast: worked out from its shape, without weights.

Knows nothing of HTML. Imports torch when it is asked, which takes seconds.
"""

from functools import lru_cache
from typing import TYPE_CHECKING

from mammo_core.errors import InputError

if TYPE_CHECKING:
    from mammo_core.model import Architecture, Model
    from mammo_train.recipe import Recipe

Depth = tuple[tuple[str, float | None], ...]
"""Layer groups from the stem to the head, each with its highest learning rate; None: frozen."""


def depths(recipe: "Recipe") -> tuple[Depth, ...]:
    """The layer groups of each phase; none where `network_problems` has something to say."""
    from mammo_core.model import layer_groups
    from mammo_train.optimiser import learning_rates

    try:
        model = _shape(recipe.architecture)
        rates = [learning_rates(model, phase) for phase in recipe.phases]
    except InputError:
        return ()
    names = [group.name for group in layer_groups(model)]
    return tuple(tuple((name, found.get(name)) for name in names) for found in rates)


def network_problems(recipe: "Recipe") -> dict[str, str]:
    """What the settings' own model cannot know: path of a field -> why no network can be made so."""
    from mammo_train.optimiser import trained_groups

    try:
        model = _shape(recipe.architecture)
    except InputError as error:
        return {f"architecture.{error.subject}": error.reason}
    problems = {}
    for number, phase in enumerate(recipe.phases):
        try:
            trained_groups(model, phase)
        except InputError as error:
            problems[f"phases.{number}.trained"] = error.reason
    return problems


@lru_cache(maxsize=16)
def _shape(architecture: "Architecture") -> "Model":
    """A network whose weights take no memory."""
    from mammo_core.model import build_model

    return build_model(architecture, device="meta")
