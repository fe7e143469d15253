"""How many cases an interval of a wanted width needs. Knows nothing of scores."""

import math

from mammo_core.cases import Cases
from mammo_core.errors import InputError

HALF_WIDTH = 0.05
"""A useful interval: a sensitivity of 85 % is told from one of 75 %."""
EXPECTED = 0.85
"""Rate that is planned for: near that of radiologists (Lehman et al., Radiology 2017)."""
_Z = 1.959964


def units_needed(rate: float = EXPECTED, half_width: float = HALF_WIDTH) -> int:
    """Count the units of a class whose rate is to be known to within ``half_width``: ``z^2 p (1 - p) / d^2``.

    Buderer, Acad Emerg Med 3:895 (1996). Two breasts of a patient count as a little less than two. Raises
    InputError for a rate or half width outside (0, 1).
    """
    for name, value in (("rate", rate), ("half width", half_width)):
        if not 0 < value < 1:
            raise InputError(name, f"{value:g} is not between 0 and 1")
    return math.ceil(_Z**2 * rate * (1 - rate) / half_width**2)


def sample_words(positives: int, negatives: int, unit: str, *, half_width: float = HALF_WIDTH) -> str:
    """Say how far these counts go, and how many would be needed."""
    needed = units_needed(half_width=half_width)
    missing = [
        f"{needed - count} more {kind}"
        for count, kind in ((positives, "positive"), (negatives, "negative"))
        if count < needed
    ]
    have = f"There are {positives} positive and {negatives} negative {unit}s with a known outcome."
    want = f"A rate near {EXPECTED:.0%} is known to within {half_width:.0%} from {needed} of each class"
    told = f"{' and '.join(missing)} would be needed" if missing else "that is reached"
    return f"{have} {want}: {told}."


def words_for(cases: Cases) -> str:
    """`sample_words` of these cases."""
    return sample_words(cases.positives, len(cases) - cases.positives, cases.unit)
