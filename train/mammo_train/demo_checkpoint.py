"""A trained network -> the demo checkpoint: calibrated, with an operating point, measured on new phantoms.

Knows nothing of how it was trained. The test exams are read by the product's own reader, pictures in, scores
out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mammo_core.calibration import Calibration, fit_platt, probability
from mammo_core.cases import Cases
from mammo_core.checkpoint import (
    Checkpoint,
    CheckpointHeader,
    ModelCard,
    ValidationScores,
    save_checkpoint,
)
from mammo_core.heatmap import peak_point
from mammo_core.intervals import bootstrap
from mammo_core.metrics import Statistic, roc_auc, sensitivity, specificity
from mammo_core.model import Model
from mammo_core.model_files import DEFAULT_MODEL
from mammo_core.operating_point import OperatingPoint, at_specificity
from mammo_core.phantom import VENDORS, PhantomExam, PhantomView, make_exam
from mammo_core.reader import Reader, ViewReading
from mammo_train.phantom_views import Views, ViewSet, as_read, processes

VERSION = "1"
REPRODUCE = "python -m mammo_train.demo_model OUT"
POINTING_MM = 10.0
"""How near to the lesion the strongest place of a heatmap must be: most of a cell of the feature map."""

_VIEWS = ("CC", "MLO")


@dataclass(frozen=True)
class Breasts:
    """Scores and truth, one entry per breast."""

    scores: NDArray[np.float64]
    cancer: NDArray[np.bool_]
    patients: list[str]


def demo_checkpoint(
    model: Model,
    shift: tuple[float, float],
    validation: Views,
    logits: NDArray[np.float64],
    *,
    training_exams: int,
    test: ViewSet,
    wanted_specificity: float,
    workers: int,
    out: Path,
    tell: Callable[[str], None],
) -> Path:
    """Calibrate, choose the operating point, measure, and write ``phantom-demo.safetensors`` into ``out``.

    ``logits`` ``(N,)`` are the model's on the ``validation`` views.
    """
    exams = len(validation.cancer) // 4
    slope, intercept = fit_platt(logits, validation.cancer)
    prevalence = float(validation.cancer.mean())
    calibration = Calibration(
        slope=slope,
        intercept=intercept,
        fitted_prevalence=prevalence,
        stated_prevalence=prevalence,
        unit="view",
        n=len(logits),
        source=f"{exams} synthetic validation exams of this project",
    )
    breasts = _by_breast(probability(calibration, logits), validation)
    source = f"Chosen and measured on {exams} synthetic validation exams; says nothing of real breasts."
    cases = Cases(breasts.scores, breasts.cancer, tuple(breasts.patients), "breast", source)
    point = at_specificity(cases, wanted=wanted_specificity)
    header = CheckpointHeader(
        name=DEFAULT_MODEL,
        version=VERSION,
        architecture=model.architecture,
        inputs=test.inputs,
        cell_shift=(round(shift[0], 1), round(shift[1], 1)),
        calibration=calibration,
        operating_point=point,
        training_domain="phantom",
        card=_card(training_exams, exams),
        validation=ValidationScores(
            unit="breast",
            patients=tuple(breasts.patients),
            labels=tuple(breasts.cancer.tolist()),
            scores=tuple(np.round(breasts.scores, 6).tolist()),
        ),
    )
    path = out / f"{DEFAULT_MODEL}.safetensors"
    unmeasured = save_checkpoint(path, header, model.state_dict(), half=True)
    results = _measured(unmeasured, point, test, workers, tell)
    card = header.card.model_copy(update={"results": results})
    save_checkpoint(path, header.model_copy(update={"card": card}), unmeasured.weights, half=True)
    for line in results:
        tell(line)
    return path


def _card(training_exams: int, validation_exams: int) -> ModelCard:
    """Write the model card; what was measured is added later."""
    return ModelCard(
        summary="Demonstration only: a small network that learnt from this project's synthetic mammograms.",
        training_data=f"{training_exams} synthetic four-view exams, all with a cancer in one breast and many "
        f"with benign lesions; calibrated on {validation_exams} exams, half of them with a cancer.",
        limits=(
            "Knows phantoms only: its score says nothing about a real breast.",
            "Looks at each view by itself: no comparison of sides, views or dates.",
            "Sees pictures of 512 x 320 pixels, too coarse for most single calcifications.",
        ),
        results=(),
        manufacturers=tuple(vendor.manufacturer for vendor in VENDORS),
        views=_VIEWS,
        reproduce=REPRODUCE,
    )


def _by_breast(scores: NDArray[np.float64], views: Views) -> Breasts:
    """Mean over the two views of each breast: views come as RCC, LCC, RMLO, LMLO."""
    by_exam = scores.reshape(-1, 2, 2)  # exam, view, side
    cancer = views.cancer.reshape(-1, 2, 2)[:, 0]
    patients = [patient for patient in views.patients[::4] for _ in range(2)]
    return Breasts(by_exam.mean(axis=1).reshape(-1), cancer.reshape(-1), patients)


def _measured(
    checkpoint: Checkpoint, point: OperatingPoint, test: ViewSet, workers: int, tell: Callable[[str], None]
) -> tuple[str, ...]:
    """Read the test exams with the product's reader and say how well it did."""
    reader = Reader(checkpoint)
    scores: list[float] = []
    cancer: list[bool] = []
    patients: list[str] = []
    hits: list[bool] = []
    chances: list[float] = []
    with processes(workers) as pool:
        draw = partial(make_exam, test.phantom, test.seed)
        for number, exam in enumerate(pool.map(draw, range(test.exams)), start=1):
            reading = reader.read([as_read(exam, view) for view in exam.views])
            for breast, view in zip(reading.breasts, exam.views[:2], strict=True):
                scores.append(breast.score)
                cancer.append(view.cancer)
                patients.append(exam.patient_id)
            for view, found in zip(exam.views, reading.views, strict=True):
                pointed = _pointing(exam, view, found)
                if pointed is not None:
                    hits.append(pointed[0])
                    chances.append(pointed[1])
            if number % 50 == 0 or number == test.exams:
                tell(f"test exams {number}/{test.exams}")
    breasts = Breasts(np.array(scores), np.array(cancer), patients)
    return (*_rates(breasts, point, test.exams), _pointing_line(hits, chances))


def _rates(breasts: Breasts, point: OperatingPoint, exams: int) -> tuple[str, ...]:
    """ROC-AUC, and sensitivity and specificity at the operating point, per breast."""

    def measured(name: str, figure: Statistic) -> str:
        found = bootstrap(figure, breasts.scores, breasts.cancer, breasts.patients)
        return f"{name} {found.value:.3f} (95 % interval {found.low:.3f} to {found.high:.3f})"

    where = f"per breast on {exams} other synthetic exams, {int(breasts.cancer.sum())} with a cancer"
    at = point.threshold
    return (
        f"{measured('ROC-AUC', roc_auc)}, {where}",
        f"At threshold {at:.3f}: {measured('sensitivity', lambda s, y, w: sensitivity(s, y, at, w))}, "
        f"{measured('specificity', lambda s, y, w: specificity(s, y, at, w))}, {where}",
    )


def _pointing(exam: PhantomExam, view: PhantomView, found: ViewReading) -> tuple[bool, float] | None:
    """Say whether the heatmap's strongest place is near a visible cancer, and how often a random place is.

    None for a view that shows no cancer.
    """
    numbers = [s.number for s in view.lesions if s.visible and exam.lesions[s.number - 1][1].malignant]
    if not numbers or found.heatmap is None:
        return None
    away = cv2.distanceTransform(np.where(np.isin(view.mask, numbers), 0, 1).astype(np.uint8), cv2.DIST_L2, 5)
    near = away * exam.spacing <= POINTING_MM
    y0, x0, y1, x1 = view.breast_box
    # A breast fills about three quarters of its box.
    chance = float(near[y0:y1, x0:x1].mean()) / 0.75
    peak = peak_point(found.heatmap)
    if peak is None:
        return False, chance
    column = int(np.clip(peak[0], 0, near.shape[1] - 1))
    row = int(np.clip(peak[1], 0, near.shape[0] - 1))
    return bool(near[row, column]), chance


def _pointing_line(hits: list[bool], chances: list[float]) -> str:
    if not hits:
        return "Heatmaps: no test view shows a cancer"
    return (
        f"Heatmaps: strongest place within {POINTING_MM:g} mm of the cancer in {np.mean(hits):.1%} of "
        f"{len(hits)} test views that show one; a random place in the breast in {np.mean(chances):.1%}"
    )
