"""What a person may want to draw, test again or cite, as CSV: scores, curves, every figure with its interval, heatmaps.

Knows nothing of how it was measured or where it is written.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_core.intervals import Estimate, PairedDifference
from mammo_train.evaluation import Evaluation
from mammo_train.evaluation_figures import Curves
from mammo_train.heat_study import HeatStudy
from mammo_train.measures import AtThreshold, Figure, Level
from mammo_train.units import by_breast, by_patient


@dataclass(frozen=True)
class Scored:
    """The images that are evaluated, with the checkpoint's scores."""

    rows: NDArray[np.intp]
    logits: NDArray[np.float64]
    scores: NDArray[np.float64]
    """As the checkpoint gives them: calibrated probabilities where it is calibrated."""
    shifted: NDArray[np.float64] | None
    """Probabilities at the stated prevalence; None without calibration or a stated prevalence."""


def tables(
    table: pd.DataFrame, scored: Scored, evaluation: Evaluation, heat: HeatStudy, curves: Curves
) -> Iterable[tuple[str, str]]:
    """Give the name and text of every CSV file; ``table`` is the prepared set's."""
    rows = scored.rows
    images = table.iloc[rows][["image_id", "patient_id", "laterality", "view", "cancer"]]
    yield (
        "scores_image",
        _csv(images.assign(cancer=images["cancer"].astype(int), logit=scored.logits, score=scored.scores)),
    )
    for name, units in (("breast", by_breast), ("patient", by_patient)):
        mean, most = units(table, rows, scored.scores), units(table, rows, scored.scores, how="max")
        columns = {"key": mean.keys, "patient_id": mean.patients, "cancer": mean.labels.astype(int)}
        yield f"scores_{name}", _csv(pd.DataFrame({**columns, "mean": mean.scores, "max": most.scores}))
    roc, pr = curves.roc, curves.pr
    points = {"threshold": roc.thresholds, "sensitivity": roc.sensitivity, "specificity": roc.specificity}
    yield "roc", _csv(pd.DataFrame(points))
    yield "pr", _csv(pd.DataFrame({"threshold": pr.thresholds, "recall": pr.recall, "precision": pr.precision}))
    yield "figures", _csv(_figures(evaluation))
    yield "thresholds", _csv(_thresholds(evaluation))
    yield "baselines", _csv(_flat(evaluation.baselines))
    yield "calibration", _csv(_flat(evaluation.calibration))
    yield "subgroups", _csv(_flat(evaluation.subgroups))
    yield "localisation", _csv(_flat(evaluation.localisation))
    yield "heat_differences", _csv(_flat(evaluation.heat_differences))
    yield (
        "heatmaps",
        _csv(_flat(heat.facts).assign(image_id=[str(table["image_id"].iat[fact.row]) for fact in heat.facts])),
    )


def _figures(evaluation: Evaluation) -> pd.DataFrame:
    """What needs no threshold: a row for every figure of every unit, and of both readings of BI-RADS 3."""
    levels = [("the set's labels", level) for level in evaluation.levels]
    levels += [(convention.name, convention.level) for convention in evaluation.conventions]
    return pd.DataFrame(
        [
            {"labels": labels, "unit": level.unit, "how": level.how, **_counts(level), **_figure(figure)}
            for labels, level in levels
            for figure in level.figures
        ]
    )


def _thresholds(evaluation: Evaluation) -> pd.DataFrame:
    """What every threshold costs, a row for every figure of breasts and of patients."""
    costs = [
        ("the set's labels", point.name, at)
        for point in evaluation.operating_points
        for at in (point.breast, point.patient)
    ]
    costs += [
        (one.name, "the checkpoint's own", one.at_threshold) for one in evaluation.conventions if one.at_threshold
    ]
    return pd.DataFrame(
        [
            {
                "labels": labels,
                "point": name,
                "threshold": at.threshold,
                "unit": at.unit,
                **_counts(at),
                **_figure(figure),
            }
            for labels, name, at in costs
            for figure in at.figures
        ]
    )


def _counts(measured: Level | AtThreshold) -> dict[str, object]:
    return {"n": measured.n, "positives": measured.positives, "patients": measured.patients}


def _figure(figure: Figure) -> dict[str, object]:
    """A figure at the set's own prevalence and at the stated one, which is empty where there is none."""
    stated = figure.stated or Estimate(np.nan, np.nan, np.nan)
    return {"figure": figure.name, **_columns("value", figure.own), **_columns("stated", stated)}


def _columns(name: str, found: Estimate | PairedDifference) -> dict[str, object]:
    columns: dict[str, object] = {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
    return columns | ({f"{name}_p": found.p} if isinstance(found, PairedDifference) else {})


def _flat(values: Sequence[Any]) -> pd.DataFrame:
    """Dataclasses as rows; an estimate becomes three columns, a difference four."""
    found = []
    for value in values:
        line: dict[str, object] = {}
        for name, inner in vars(value).items():
            line |= _columns(name, inner) if isinstance(inner, Estimate | PairedDifference) else {name: inner}
        found.append(line)
    return pd.DataFrame(found)


def _csv(table: pd.DataFrame) -> str:
    return str(table.to_csv(index=False, lineterminator="\n", float_format="%.6g"))
