"""Scores with their truth, one entry per unit: what a threshold is chosen on, and what a figure is measured on.

Knows nothing of models or of where the scores come from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mammo_core.errors import InputError


@dataclass(frozen=True)
class Cases:
    """N scored units whose truth is known."""

    scores: NDArray[np.float64]
    """``(N,)``, finite."""
    labels: NDArray[np.bool_]
    """``(N,)``: whether there is a cancer."""
    patients: tuple[str, ...]
    """Whose each is: all units of a patient are resampled together."""
    unit: str
    """What one score stands for: "breast"."""
    source: str
    """Sentence naming the data, such as "Chosen and measured on 200 breasts of the validation part."."""
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What else is known of each unit, by name of the column (`GROUPS`); an empty text where it is not stated."""

    def __post_init__(self) -> None:
        """Refuse columns of different lengths and scores that are not finite."""
        sizes = {"scores": self.scores.size, "labels": self.labels.size, "patients": len(self.patients)}
        sizes |= {name: len(values) for name, values in self.groups.items()}
        if len(set(sizes.values())) > 1:
            told = ", ".join(f"{size} {name}" for name, size in sizes.items())
            raise InputError("cases", f"differ in length: {told}")
        if not np.isfinite(self.scores).all():
            raise InputError("cases", "hold a score that is not a finite number")

    def __len__(self) -> int:
        """Number of units."""
        return len(self.patients)

    @property
    def positives(self) -> int:
        """Number of units with a cancer."""
        return int(self.labels.sum())

    @property
    def prevalence(self) -> float:
        """Share of units with a cancer; NaN where there is no unit."""
        return self.positives / len(self) if len(self) else float("nan")

    def chosen(self, inside: NDArray[np.bool_]) -> "Cases":
        """Keep the units ``inside`` ``(N,)``."""
        places = np.flatnonzero(inside).tolist()
        return replace(
            self,
            scores=self.scores[places],
            labels=self.labels[places],
            patients=_at(self.patients, places),
            groups={name: _at(values, places) for name, values in self.groups.items()},
        )


GROUPS = ("laterality", "views", "density", "age", "machine", "manufacturer", "site")
"""Columns of `Cases.groups`: side (R or L); view codes joined by "+" (CC+MLO); density as the source states it; age in
years; machine, manufacturer (0008,0070) and site."""


def _at(values: Sequence[str], places: Sequence[int]) -> tuple[str, ...]:
    return tuple(values[place] for place in places)
