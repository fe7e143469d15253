"""Which cases change side between two thresholds. Knows nothing of how a threshold is chosen."""

from dataclasses import dataclass

import numpy as np

from mammo_core.cases import Cases


@dataclass(frozen=True)
class Flip:
    """A case that one threshold flags and the other does not."""

    patient: str
    laterality: str
    """R or L; empty where it is not stated."""
    label: bool
    score: float
    flagged: bool
    """At the moved threshold."""


def flips(cases: Cases, saved: float, moved: float) -> tuple[Flip, ...]:
    """List the cases that the two thresholds disagree on: positives first, then by falling score."""
    changed = np.flatnonzero((cases.scores >= saved) != (cases.scores >= moved))
    sides = cases.groups.get("laterality", ("",) * len(cases))
    ordered = sorted(changed.tolist(), key=lambda place: (not cases.labels[place], -cases.scores[place]))
    return tuple(
        Flip(
            patient=cases.patients[place],
            laterality=sides[place],
            label=bool(cases.labels[place]),
            score=float(cases.scores[place]),
            flagged=bool(cases.scores[place] >= moved),
        )
        for place in ordered
    )
