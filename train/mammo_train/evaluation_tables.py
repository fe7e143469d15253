"""What a person may want to draw or test again, as CSV: scores, curves, bins, groups, heatmaps.

Knows nothing of how it was measured or where it is written.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_core.intervals import Estimate
from mammo_train.evaluation import Evaluation
from mammo_train.evaluation_figures import Curves
from mammo_train.heat_study import HeatStudy
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
    yield "calibration", _csv(_flat(evaluation.calibration))
    yield "subgroups", _csv(_flat(evaluation.subgroups))
    yield (
        "heatmaps",
        _csv(_flat(heat.facts).assign(image_id=[str(table["image_id"].iat[fact.row]) for fact in heat.facts])),
    )


def _flat(values: Sequence[Any]) -> pd.DataFrame:
    """Dataclasses as rows; an estimate becomes three columns."""
    found = []
    for value in values:
        line: dict[str, object] = {}
        for name, inner in vars(value).items():
            if isinstance(inner, Estimate):
                line |= {name: inner.value, f"{name}_low": inner.low, f"{name}_high": inner.high}
            else:
                line[name] = inner
        found.append(line)
    return pd.DataFrame(found)


def _csv(table: pd.DataFrame) -> str:
    return str(table.to_csv(index=False, lineterminator="\n", float_format="%.6g"))
