"""A checkpoint and a prepared set -> everything that is worth knowing about the two, on disk.

Knows nothing of training. Thresholds come from the checkpoint's stored validation scores and are applied unchanged;
what is reported is never chosen or fitted on.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from mammo_core.calibration import Calibration, log_odds
from mammo_core.checkpoint import Checkpoint, TrainingRecord, load_checkpoint, model_of
from mammo_core.files import write_atomic
from mammo_core.intervals import paired_bootstrap
from mammo_core.metrics import Statistic, average_precision, pr_curve, roc_auc, roc_curve
from mammo_core.operating_point import OperatingPoint, at_recall_rate, at_sensitivity, at_specificity, youden
from mammo_train.baselines import KINDS, baseline
from mammo_train.evaluated_part import ALL, check_inputs, own_split, part_rows
from mammo_train.evaluation import (
    BaselineResult,
    Convention,
    Evaluation,
    EvaluationSettings,
    Point,
    Subject,
    as_json,
    json_text,
)
from mammo_train.evaluation_figures import Curves
from mammo_train.evaluation_page import evaluation_page
from mammo_train.evaluation_tables import Scored, tables
from mammo_train.heat_study import HeatStudy, heat_study
from mammo_train.measures import (
    Level,
    Resampling,
    at_threshold,
    both_classes,
    calibration_bins,
    level,
    roc_band,
)
from mammo_train.prepared_set import PreparedSet
from mammo_train.run import read_log
from mammo_train.scoring import image_logits, view_scores
from mammo_train.split import Split
from mammo_train.subgroups import groups_of_breasts, groups_of_images, subgroups
from mammo_train.units import Units, breasts_of, by_breast, by_image, by_patient, views_tell

RESULT = "evaluation.json"
PAGE = "evaluation.html"
TABLES = "evaluation"
"""Folder of the CSV files beside them."""

Tell = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

_ANOTHER_PREVALENCE = 0.5
"""Difference in log-odds from which probabilities made for one prevalence visibly miss another."""


def evaluate(
    checkpoint: Path,
    data: PreparedSet,
    out: Path,
    *,
    split: Split | None = None,
    part: str | None = None,
    prevalence: float | None = None,
    settings: EvaluationSettings | None = None,
    tell: Tell | None = None,
) -> dict[str, Any]:
    """Evaluate a checkpoint file on one part of a prepared set; return what ``evaluation.json`` holds.

    ``part`` is "train", "validation", "test" or "all"; None means the split's test part if it has one, else its
    validation part, and without a split the whole set. On the set that the checkpoint learnt from, no split means
    that of its run. ``prevalence`` is the stated one; None means that of the
    checkpoint's calibration. Writes ``evaluation.json``, ``evaluation.html`` and ``evaluation/*.csv`` into ``out``.
    Raises InputError where the set was not prepared for this model, or the part is empty.
    """
    settings = settings or EvaluationSettings()
    tell = tell or (lambda _what, _done, _total: None)
    loaded = load_checkpoint(checkpoint)
    check_inputs(loaded, data)
    if split is None and part != ALL:
        split = own_split(checkpoint, loaded, data)
    part, rows = part_rows(data, split, part)
    calibration = loaded.header.calibration
    if prevalence is None and calibration is not None:
        prevalence = calibration.stated_prevalence
    resampling = Resampling(settings.draws, settings.seed, prevalence)
    scored = _scored(loaded, data, rows, prevalence, tell)
    heat = heat_study(loaded, data, rows, scored.scores, settings, resampling, device=_device(), tell=tell)
    evaluation = _measured(loaded, data, scored, split, part, settings, resampling, heat, tell)
    breasts = by_breast(data.table, rows, scored.scores)
    curves = _curves(breasts, resampling)
    for name, text in tables(data.table, scored, evaluation, heat, curves):
        write_atomic(out / TABLES / f"{name}.csv", text.encode())
    log = read_log(checkpoint.parent)
    page = evaluation_page(evaluation, loaded.header, breasts, curves, heat, log)
    write_atomic(out / PAGE, page.encode())
    found = as_json(evaluation)
    write_atomic(out / RESULT, json_text(found).encode())
    tell("evaluation", 1, 1)
    return found


def _scored(
    checkpoint: Checkpoint, data: PreparedSet, rows: NDArray[np.intp], prevalence: float | None, tell: Tell
) -> Scored:
    """Run the model over the images."""
    header = checkpoint.header
    device = _device()
    logits = image_logits(
        model_of(checkpoint).to(device),
        header.inputs,
        data,
        rows,
        device=device,
        tell=lambda done, total: tell("images scored", done, total),
    )
    moved: Calibration | None = None
    if header.calibration is not None and prevalence is not None:
        moved = header.calibration.model_copy(update={"stated_prevalence": prevalence})
    return Scored(
        rows=rows,
        logits=logits,
        scores=view_scores(header.calibration, logits),
        shifted=None if moved is None else view_scores(moved, logits),
    )


def _measured(
    checkpoint: Checkpoint,
    data: PreparedSet,
    scored: Scored,
    split: Split | None,
    part: str,
    settings: EvaluationSettings,
    resampling: Resampling,
    heat: HeatStudy,
    tell: Tell,
) -> Evaluation:
    """Measure everything there is; every step is told."""
    table, rows = data.table, scored.rows
    steps = iter(range(1, 8))

    def step() -> None:
        tell("figures measured", next(steps), 7)

    breasts = by_breast(table, rows, scored.scores)
    shifted = None if scored.shifted is None else by_breast(table, rows, scored.shifted)
    stored = checkpoint.header.operating_point
    levels = _levels(table, scored, resampling)
    step()
    points = _points(checkpoint, breasts, by_patient(table, rows, scored.scores), settings, resampling)
    step()
    bins = tuple(calibration_bins(breasts, resampling, settings.calibration_bins))
    stated_bins = (
        tuple(calibration_bins(shifted, resampling, settings.calibration_bins, stated=True))
        if shifted is not None and both_classes(shifted)
        else ()
    )
    step()
    threshold = None if stored is None else stored.threshold
    groups = [
        *subgroups(breasts, groups_of_breasts(table, rows, settings.age_bands), threshold, settings.few, resampling),
        *subgroups(by_image(table, rows, scored.scores), groups_of_images(table, rows), None, settings.few, resampling),
    ]
    step()
    baselines = _baselines(table, rows, breasts, resampling)
    step()
    conventions = _conventions(table, scored, threshold, resampling)
    step()
    subject = _subject(checkpoint, data, scored, split, part, resampling.prevalence)
    evaluation = Evaluation(
        subject=subject,
        settings=settings,
        warnings=tuple(_warnings(checkpoint, data, rows, breasts, subject)),
        levels=levels,
        operating_points=points,
        calibration=bins,
        calibration_stated=stated_bins,
        subgroups=tuple(groups),
        baselines=baselines,
        conventions=conventions,
        localisation=heat.localisation,
        heat_differences=heat.differences,
        heat_sample=heat.sample,
    )
    step()
    return evaluation


def _levels(table: pd.DataFrame, scored: Scored, resampling: Resampling) -> tuple[Level, ...]:
    """Breast first, the unit of evaluation; image and patient beside it, means and maxima over views."""

    def units(how: Callable[[NDArray[np.float64]], Units], words: str) -> Level:
        return level(how(scored.scores), None if scored.shifted is None else how(scored.shifted), words, resampling)

    rows = scored.rows
    return (
        units(lambda scores: by_breast(table, rows, scores), "mean over its views"),
        units(lambda scores: by_breast(table, rows, scores, how="max"), "max over its views"),
        units(lambda scores: by_breast(table, rows, scores, how="one_view"), "one of its views"),
        units(lambda scores: by_image(table, rows, scores), "each view by itself"),
        units(lambda scores: by_patient(table, rows, scores), "larger of the breasts' means"),
        units(lambda scores: by_patient(table, rows, scores, how="max"), "max over all views"),
    )


def _points(
    checkpoint: Checkpoint, breasts: Units, patients: Units, settings: EvaluationSettings, resampling: Resampling
) -> tuple[Point, ...]:
    """Choose operating points on the stored validation scores; measure them, unchanged, here."""
    chosen: list[tuple[str, OperatingPoint]] = []
    if checkpoint.header.operating_point is not None:
        chosen.append(("the checkpoint's own", checkpoint.header.operating_point))
    chosen += _chosen_on_validation(checkpoint, settings, resampling.prevalence)
    return tuple(
        Point(
            name=name,
            chosen=point,
            breast=at_threshold(breasts, point.threshold, resampling),
            patient=at_threshold(patients, point.threshold, resampling),
        )
        for name, point in chosen
    )


def _chosen_on_validation(
    checkpoint: Checkpoint, settings: EvaluationSettings, prevalence: float | None
) -> list[tuple[str, OperatingPoint]]:
    stored = checkpoint.header.validation
    if stored is None or all(stored.labels) or not any(stored.labels):
        return []
    cases = stored.cases("Chosen and measured on the validation scores stored in the checkpoint.")
    return [
        ("Youden", youden(cases)),
        (f"{settings.wanted:.0%} sensitivity", at_sensitivity(cases, wanted=settings.wanted)),
        (f"{settings.wanted:.0%} specificity", at_specificity(cases, wanted=settings.wanted)),
        (
            f"{settings.recall_rate:.0%} recall rate",
            at_recall_rate(cases, wanted=settings.recall_rate, prevalence=prevalence),
        ),
    ]


def _baselines(
    table: pd.DataFrame, rows: NDArray[np.intp], breasts: Units, resampling: Resampling
) -> tuple[BaselineResult, ...]:
    """What age, machine and number of views tell alone, on the same breasts as the model."""
    reported = breasts_of(table, rows)
    others = breasts_of(table, np.setdiff1d(np.arange(len(table)), rows))
    found = []
    for kind in KINDS:
        fitted = baseline(kind, reported, others)
        if fitted.scores is None or not both_classes(breasts):
            how = fitted.how if fitted.scores is None else "one class is missing"
            found.append(BaselineResult(kind, how, None, None, None, None))
            continue
        own = Units(fitted.scores, breasts.labels, breasts.patients, breasts.keys, breasts.unit)
        ranked, precise = resampling.estimates(
            lambda s, y, w: np.array([roc_auc(s, y, w), average_precision(s, y, w)]), own
        )

        def above(figure: Statistic, own: Units = own) -> Any:
            given = (breasts.scores, own.scores, breasts.labels, breasts.patients)
            return paired_bootstrap(figure, *given, draws=resampling.draws, seed=resampling.seed)

        found.append(BaselineResult(kind, fitted.how, ranked, precise, above(roc_auc), above(average_precision)))
    return tuple(found)


def _conventions(
    table: pd.DataFrame, scored: Scored, threshold: float | None, resampling: Resampling
) -> tuple[Convention, ...]:
    """Both readings of BI-RADS 3 where BI-RADS is the truth that the set's labels come from."""
    if "birads" not in table.columns:
        return ()
    birads = table["birads"].astype(str).str.strip()
    part = birads.iloc[scored.rows]
    suspicious = part.str.match(r"[456]")
    labels = table["cancer"].iloc[scored.rows]
    if not (part == "3").any() or (part == "").any() or not (suspicious == labels).all():
        return ()
    found = []
    for name, positive in (
        ("BI-RADS 3 counts as negative (the set's labels)", table["cancer"]),
        ("BI-RADS 3 counts as positive", table["cancer"] | (birads == "3")),
    ):
        read = table.assign(cancer=positive.to_numpy(bool))
        breasts = by_breast(read, scored.rows, scored.scores)
        shifted = None if scored.shifted is None else by_breast(read, scored.rows, scored.shifted)
        measured = level(breasts, shifted, "mean over its views", resampling)
        cost = None if threshold is None else at_threshold(breasts, threshold, resampling)
        found.append(Convention(name, measured, cost))
    return tuple(found)


def _subject(
    checkpoint: Checkpoint, data: PreparedSet, scored: Scored, split: Split | None, part: str, prevalence: float | None
) -> Subject:
    header = checkpoint.header
    table = data.table.iloc[scored.rows]
    return Subject(
        model=header.name,
        model_version=header.version,
        model_sha256=checkpoint.sha256,
        training_domain=header.training_domain,
        data_source=", ".join(sorted(set(table["source"].astype(str)))),
        data_sha256=data.sha256,
        part=part,
        split_sha256="" if split is None else split.sha256,
        images=len(table),
        breasts=len(table[["patient_id", "laterality"]].drop_duplicates()),
        patients=int(table["patient_id"].nunique()),
        stated_prevalence=prevalence,
    )


def _warnings(
    checkpoint: Checkpoint, data: PreparedSet, rows: NDArray[np.intp], breasts: Units, subject: Subject
) -> Iterable[str]:
    """Say what must be known before a figure is believed."""
    header = checkpoint.header
    if header.training_domain == "phantom" and set(data.table["source"].astype(str)) != {"phantom"}:
        yield "This model learnt from synthetic phantoms only: its scores say nothing about a real breast."
    yield from _leaks(header.training, data.sha256, subject)
    if not both_classes(breasts):
        yield "One class is missing: what needs both cannot be measured."
    told = views_tell(breasts_of(data.table, rows))
    if told:
        yield told
    if header.calibration is None:
        yield "The model is not calibrated: its scores are no probabilities."
    elif both_classes(breasts):
        meant, found = header.calibration.stated_prevalence, float(breasts.labels.mean())
        if abs(log_odds(meant) - log_odds(found)) > _ANOTHER_PREVALENCE:
            yield (
                f"The model's probabilities are meant for a prevalence of {meant:.1%}; of these breasts {found:.1%} "
                f"are positive, so as given they are too {'low' if meant < found else 'high'} here."
            )
    if header.validation is None:
        yield "The checkpoint holds no validation scores: no operating point could be chosen without these images."
    yield from data.record.notes


def _leaks(training: TrainingRecord | None, data_sha256: str, subject: Subject) -> Iterable[str]:
    """Say where the model has seen what it is measured on."""
    if training is None or training.data_sha256 != data_sha256:
        return
    if subject.part in ("train", ALL):
        yield "The model learnt from these images: the figures are too good."
    elif subject.split_sha256 != training.split_sha256:
        yield "The model was trained with another split of this set: it may have learnt from patients of this part."
    elif subject.part == "validation":
        yield "Checkpoint, calibration and thresholds were chosen on these very images: the figures are too good."


def _curves(breasts: Units, resampling: Resampling) -> Curves:
    """Points of the ROC and PR curves of the breasts, and the ROC curve's band."""
    return Curves(
        roc=roc_curve(breasts.scores, breasts.labels),
        band=roc_band(breasts, resampling),
        pr=pr_curve(breasts.scores, breasts.labels),
    )


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
