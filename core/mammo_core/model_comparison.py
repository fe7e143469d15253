"""Two models on the same cases: how much better one is, and how sure that is.

Knows nothing of checkpoints. Only cases that both have scored count, on the same draws of patients.
"""

from dataclasses import dataclass

from mammo_core.cases import Cases
from mammo_core.errors import InputError
from mammo_core.intervals import DRAWS, Estimate, PairedDifference, difference
from mammo_core.tradeoff import Tradeoff


@dataclass(frozen=True)
class ComparedFigure:
    """One figure of both models, and how much higher it is for the first."""

    title: str
    first: Estimate
    second: Estimate
    above: PairedDifference


@dataclass(frozen=True)
class ModelComparison:
    """Two models on the cases that both have scored."""

    unit: str
    n: int
    positives: int
    patients: int
    recall_rate: float
    """Part of these cases that each model may flag at most, at its own threshold."""
    thresholds: tuple[float, float]
    figures: tuple[ComparedFigure, ...]


def compare_models(first: Cases, second: Cases, *, recall_rate: float, draws: int = DRAWS) -> ModelComparison:
    """Compare areas, and sensitivity and specificity at the same recall rate.

    The thresholds are each model's own for that rate on these cases. Raises InputError where no case is shared, the
    two contradict each other about the truth, a class is missing, or ``recall_rate`` is outside (0, 1].
    """
    first, second = shared(first, second)
    one, other = Tradeoff(first, draws=draws), Tradeoff(second, draws=draws)
    thresholds = one.solve("recall_rate", recall_rate), other.solve("recall_rate", recall_rate)
    at = one.at(thresholds[0]), other.at(thresholds[1])
    rates = one.drawn_rates(thresholds[0]), other.drawn_rates(thresholds[1])
    stated = f"at a recall rate of at most {recall_rate:.1%}"
    figures = [
        ComparedFigure(title, a, b, difference(a.value - b.value, drawn_a - drawn_b))
        for title, a, b, drawn_a, drawn_b in (
            ("ROC-AUC", one.roc_auc(), other.roc_auc(), one.drawn_areas[0], other.drawn_areas[0]),
            (
                "PR-AUC",
                one.average_precision(),
                other.average_precision(),
                one.drawn_areas[1],
                other.drawn_areas[1],
            ),
            (f"Sensitivity {stated}", at[0].sensitivity, at[1].sensitivity, rates[0][0], rates[1][0]),
            (f"Specificity {stated}", at[0].specificity, at[1].specificity, rates[0][1], rates[1][1]),
        )
    ]
    return ModelComparison(
        unit=first.unit,
        n=len(first),
        positives=first.positives,
        patients=len(set(first.patients)),
        recall_rate=recall_rate,
        thresholds=thresholds,
        figures=tuple(figures),
    )


def shared(first: Cases, second: Cases) -> tuple[Cases, Cases]:
    """Keep the cases that both have, in the same order: same patient, same side, same truth."""
    if first.unit != second.unit:
        raise InputError("comparison", f"one model was measured per {first.unit}, the other per {second.unit}")
    places = {key: place for place, key in enumerate(_keys(second))}
    mine = [place for place, key in enumerate(_keys(first)) if key in places]
    theirs = [places[key] for place, key in enumerate(_keys(first)) if key in places]
    if not mine:
        raise InputError("comparison", "the two models were measured on different cases: none is shared")
    a, b = _ordered(first, mine), _ordered(second, theirs)
    wrong = int((a.labels != b.labels).sum())
    if wrong:
        raise InputError("comparison", f"the models disagree about the truth of {wrong} of {len(a)} shared cases")
    return a, b


def _keys(cases: Cases) -> list[tuple[str, str, int]]:
    """Patient, side, and the number of the unit among those of the same patient and side."""
    sides = cases.groups.get("laterality", ("",) * len(cases))
    seen: dict[tuple[str, str], int] = {}
    keys = []
    for patient, side in zip(cases.patients, sides, strict=True):
        seen[patient, side] = seen.get((patient, side), -1) + 1
        keys.append((patient, side, seen[patient, side]))
    return keys


def _ordered(cases: Cases, places: list[int]) -> Cases:
    return Cases(
        scores=cases.scores[places],
        labels=cases.labels[places],
        patients=tuple(cases.patients[place] for place in places),
        unit=cases.unit,
        source=cases.source,
    )
