"""Which images of a part a phase learns from: all, balanced, or fewer at the same prevalence.

Knows nothing of phases: a :class:`~mammo_core.phases.Subset` says what is wanted. The same rows and seed give the
same images, in whatever order the table is.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_core.errors import InputError
from mammo_core.phases import Subset

Rows = NDArray[np.intp]


def subset_rows(table: pd.DataFrame, rows: Rows, subset: Subset) -> Rows:
    """Choose from ``rows`` of the table; rising.

    "balanced_groups" is every positive breast and as many negative ones by lot (all there are, if fewer);
    "balanced_images" is ``images`` images, half from positive breasts, or as many of each as the scarcer class has;
    "natural" keeps the share of images from positive breasts, with exactly ``images`` images, or as many as
    "balanced_groups" gives, so that only balance and not size tells the two apart. Raises InputError where a class
    is missing.
    """
    if subset.kind == "all":
        return np.sort(rows)
    positive, negative = _by_lot(table, rows, subset.seed)
    if not positive or not negative:
        missing = "with" if not positive else "without"
        raise InputError(f"subset {subset.kind}", f"there is no breast {missing} cancer among {len(rows)} images")
    if subset.kind == "balanced_groups":
        return _sorted([*positive, *negative[: len(positive)]])
    with_cancer, without = np.concatenate(positive), np.concatenate(negative)
    if subset.kind == "balanced_images":
        half = (subset.images or 0) // 2
        odd = (subset.images or 0) % 2
        taken = min(half, with_cancer.size, without.size)
        # The odd image is a negative one, if there is one to spare.
        return _sorted([with_cancer[:taken], without[: taken + (odd if taken == half else 0)]])
    size = subset.images or sum(map(len, positive)) + sum(map(len, negative[: len(positive)]))
    size = min(size, len(rows))
    # At least one of each: a phase cannot learn from one class.
    share = int(np.clip(round(size * with_cancer.size / len(rows)), 1, min(with_cancer.size, size - 1)))
    return _sorted([with_cancer[:share], without[: size - share]])


def _by_lot(table: pd.DataFrame, rows: Rows, seed: int) -> tuple[list[Rows], list[Rows]]:
    """Rows of each positive and of each negative breast, the breasts in an order drawn by lot."""
    chosen = table[["image_id", "patient_id", "laterality", "cancer"]].iloc[rows]
    # Breasts, and images within them, in an order that is theirs and not the table's.
    order = np.lexsort([chosen[name].to_numpy(str) for name in ("image_id", "laterality", "patient_id")])
    chosen, ordered = chosen.iloc[order], rows[order]
    starts = np.flatnonzero(~chosen.duplicated(["patient_id", "laterality"]).to_numpy())
    breasts = np.split(ordered, starts[1:])
    cancer = np.logical_or.reduceat(chosen["cancer"].to_numpy(bool), starts)
    lot = np.random.default_rng(seed).permutation(len(breasts))
    return [breasts[i] for i in lot if cancer[i]], [breasts[i] for i in lot if not cancer[i]]


def _sorted(parts: list[Rows]) -> Rows:
    return np.sort(np.concatenate(parts)).astype(np.intp)
