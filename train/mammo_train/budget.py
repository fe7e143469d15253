"""A recipe cut to a budget, so that a way of training with a warm-up gets no more than one without.

Knows nothing of runs: a recipe and the training part in, a recipe out.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_core.errors import InputError
from mammo_core.phases import Phase
from mammo_train.plan import Budget
from mammo_train.recipe import Recipe
from mammo_train.sampling import positives_drawn
from mammo_train.subsets import subset_rows


def within(recipe: Recipe, budget: Budget, table: pd.DataFrame, rows: NDArray[np.intp]) -> Recipe:
    """Return the recipe for training on ``rows`` within the budget, no phase ending early.

    Passes scale the epochs of all phases alike, to whole epochs; the last phase takes what the others leave, so
    that the sum is off by half of its epoch at most. Raises InputError where not even one epoch of each phase fits.
    Seconds leave the epochs as they are: time is taken by whoever runs the recipe.
    """
    phases = [_changed(phase, patience=0) for phase in recipe.phases]
    if budget.passes is not None:
        wanted = budget.passes * len(rows)
        sizes = [_images(table, rows, phase) for phase in phases]
        factor = wanted / sum(size * phase.epochs for size, phase in zip(sizes, phases, strict=True))
        epochs = [max(1, round(phase.epochs * factor)) for phase in phases[:-1]]
        before = sum(size * count for size, count in zip(sizes[:-1], epochs, strict=True))
        epochs.append(max(1, round((wanted - before) / sizes[-1])))
        seen = before + sizes[-1] * epochs[-1]
        # Half an epoch of the last phase is what rounding costs; more is a recipe that does not fit.
        if abs(seen - wanted) > sizes[-1] / 2 + 1:
            least = f"one epoch of each of its {len(phases)} phases sees {sum(sizes):,} images"
            raise InputError(f"recipe {recipe.name}", f"does not fit {wanted:,.0f} images: {least}")
        phases = [_changed(phase, epochs=count) for phase, count in zip(phases, epochs, strict=True)]
    return recipe.model_copy(update={"phases": tuple(phases)})


def images_seen(recipe: Recipe, table: pd.DataFrame, rows: NDArray[np.intp]) -> int:
    """Images that a whole run of the recipe shows to the network."""
    return sum(_images(table, rows, phase) * phase.epochs for phase in recipe.phases)


def _images(table: pd.DataFrame, rows: NDArray[np.intp], phase: Phase) -> int:
    """Images in one epoch of a phase."""
    chosen = subset_rows(table, rows, phase.subset)
    return positives_drawn(table["cancer"].to_numpy(bool)[chosen], phase)[1]


def _changed(phase: Phase, **fields: int) -> Phase:
    """Validated anew, which model_copy would not do."""
    return Phase.model_validate({**phase.model_dump(), **fields})
