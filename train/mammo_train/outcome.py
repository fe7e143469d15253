"""Trained weights -> the checkpoint: calibrated, with an operating point, and a card that says what it is.

Knows nothing of how the weights came about. Everything is chosen on the validation part alone; the test part is
not looked at.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from mammo_core.calibration import Calibration, fit_platt
from mammo_core.checkpoint import (
    CheckpointHeader,
    ModelCard,
    TrainingRecord,
    ValidationScores,
    load_checkpoint,
    save_checkpoint,
)
from mammo_core.errors import InputError
from mammo_core.files import write_atomic
from mammo_core.intervals import Estimate, bootstrap
from mammo_core.metrics import average_precision, roc_auc
from mammo_core.model import Model, cell_shift
from mammo_core.operating_point import at_specificity
from mammo_core.phantom import VENDORS
from mammo_train.prepared_set import PreparedSet
from mammo_train.recipe import Recipe, dump_recipe
from mammo_train.run import CHECKPOINT, VALIDATION, VALIDATION_IMAGES
from mammo_train.scoring import image_logits, view_scores
from mammo_train.sources import TERMS
from mammo_train.split import Split
from mammo_train.units import Units, breasts_of, by_breast, views_tell

VERSION = "1"
_PHANTOM = "phantom"


@dataclass(frozen=True)
class Spent:
    """What training took, and which of its epochs gave the weights."""

    seconds: float
    epochs: int
    best_epoch: int
    best_phase: str


def write_outcome(
    model: Model,
    recipe: Recipe,
    data: PreparedSet,
    split: Split,
    run: Path,
    spent: Spent,
    *,
    device: torch.device,
    tell: Callable[[str, int, int], None],
) -> tuple[Path, tuple[str, ...]]:
    """Write ``checkpoint.safetensors``, ``validation.csv`` and ``validation_images.csv`` into ``run``.

    Returns the checkpoint's path and what a person must be told. Calibration is of views, as the reader applies it;
    a breast's score is the mean of its views' probabilities.
    """
    inputs, rows = recipe.inputs(data.inputs), split.rows(data.table, "validation")
    if recipe.half:
        # Before anything is chosen, so that calibration and threshold are those of the weights that are kept.
        model.half().float()
    logits = image_logits(
        model, inputs, data, rows, device=device, tell=lambda done, total: tell("validation images", done, total)
    )
    images = data.table.iloc[rows].reset_index(drop=True)
    calibration, notes = _calibration(recipe, logits, images["cancer"].to_numpy(np.bool_))
    scores = view_scores(calibration, logits)
    breasts = by_breast(data.table, rows, scores)
    _write_tables(run, images, logits, scores, breasts)
    validation = _validation(images, breasts)
    model.cpu().eval()
    down, right = cell_shift(model)
    header = CheckpointHeader(
        name=recipe.name,
        version=VERSION,
        architecture=recipe.architecture,
        inputs=inputs,
        cell_shift=(round(down, 1), round(right, 1)),
        calibration=calibration,
        operating_point=at_specificity(
            validation.cases(f"Chosen and measured on {_counted(breasts)} of the validation part."),
            wanted=recipe.specificity,
        ),
        training_domain=_domain(data, split),
        card=_card(recipe, data, split, breasts, notes),
        validation=validation,
        training=_record(recipe, data, split, spent),
    )
    save_checkpoint(run / CHECKPOINT, header, model.state_dict(), half=recipe.half)
    return run / CHECKPOINT, notes


def _calibration(
    recipe: Recipe, logits: NDArray[np.float64], cancer: NDArray[np.bool_]
) -> tuple[Calibration | None, tuple[str, ...]]:
    """Platt scaling on validation views; none where the recipe wants none, or the logits do not rise with cancer."""
    if not recipe.calibration:
        return None, ()
    try:
        slope, intercept = fit_platt(logits, cancer)
    except InputError as error:
        return None, (f"Not calibrated: {error.reason}.",)
    prevalence = float(cancer.mean())
    found = Calibration(
        slope=slope,
        intercept=intercept,
        fitted_prevalence=prevalence,
        stated_prevalence=recipe.stated_prevalence or prevalence,
        unit="view",
        n=len(logits),
        source=f"{len(logits)} validation views, {int(cancer.sum())} of breasts with cancer",
    )
    return found, ()


def _validation(images: pd.DataFrame, breasts: Units) -> ValidationScores:
    """Arrange the breasts' scores, and what the table says of each, for the checkpoint."""
    return ValidationScores(
        unit=breasts.unit,
        patients=breasts.patients,
        labels=tuple(breasts.labels.tolist()),
        scores=tuple(breasts.scores.tolist()),
        groups=_groups(images),
    )


def _groups(images: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """What the table says of each breast (`mammo_core.cases.GROUPS`), as far as it says anything of any."""
    age = images["age"].map(lambda years: f"{years:g}" if np.isfinite(years) else "")
    columns = {
        "laterality": images["laterality"],
        "density": images["density"],
        "age": age,
        "machine": images["machine_id"],
        "manufacturer": _manufacturer(images),
        "site": images["site_id"],
    }
    keys = (images["patient_id"] + "/" + images["laterality"]).to_numpy()
    found = {"views": tuple(images["view"].groupby(keys, sort=True).agg(lambda views: "+".join(sorted(set(views)))))}
    for name, column in columns.items():
        # Images of a breast that contradict each other say nothing.
        stated = column.astype(str).groupby(keys, sort=True).agg(lambda values: _one(set(values) - {""}))
        found[name] = tuple(stated)
    return {name: values for name, values in found.items() if any(values)}


def _one(stated: set[str]) -> str:
    return stated.pop() if len(stated) == 1 else ""


def _domain(data: PreparedSet, split: Split) -> str:
    """Say whether the model learnt from phantoms alone."""
    sources = data.table["source"].iloc[split.rows(data.table, "train")]
    return _PHANTOM if bool((sources == _PHANTOM).all()) else "mammogram"


def _record(recipe: Recipe, data: PreparedSet, split: Split, spent: Spent) -> TrainingRecord:
    return TrainingRecord(
        recipe=dump_recipe(recipe),
        split_sha256=split.sha256,
        data_sha256=data.sha256,
        seconds=round(spent.seconds, 1),
        epochs=spent.epochs,
        best_epoch=spent.best_epoch,
        best_phase=spent.best_phase,
    )


def _card(recipe: Recipe, data: PreparedSet, split: Split, breasts: Units, notes: tuple[str, ...]) -> ModelCard:
    """Say what the model is, what it learnt from, and what it does not know."""
    training = data.table.iloc[split.rows(data.table, "train")]
    sources = ", ".join(sorted(set(training["source"]) - {""})) or "unnamed"
    labels = training.groupby(["patient_id", "laterality"])["cancer"].any()
    terms = [TERMS.get(name, f"{name}: not stated.") for name in sorted(set(training["source"])) if name]
    began, terms_before = _began_with(recipe.weights)
    views = tuple(sorted(set(training["view"]) - {""}))
    return ModelCard(
        summary=f"{recipe.architecture.backbone} trained with the recipe {recipe.name!r}. {recipe.about}".strip(),
        training_data=f"{len(training)} images of {len(labels)} breasts of {training['patient_id'].nunique()} "
        f"patients ({sources}); {int(labels.sum())} breasts ({labels.mean():.1%}) with cancer. {began}".strip(),
        data_terms=" ".join(dict.fromkeys((*terms, *terms_before))) or "not stated",
        limits=(*_limits(data, split, views), *notes),
        results=_results(breasts),
        manufacturers=tuple(sorted(set(_manufacturer(training)) - {""})),
        views=views,
        reproduce=f"mammo train RUN/recipe.toml DATA NEW_RUN --split RUN/split.csv (recipe {recipe.name})",
    )


def _began_with(weights: str) -> tuple[str, tuple[str, ...]]:
    """Say what the backbone had learnt before, and the terms of that; a checkpoint's own card is handed on."""
    if weights == "none":
        return "", ()
    if weights == "imagenet":
        return "Its backbone began with ImageNet's weights.", ()
    try:
        before = load_checkpoint(Path(weights)).header
    except InputError:  # published weights, which say nothing of themselves
        return f"Its backbone began with the published weights of {Path(weights).name}.", ()
    return f"Its backbone began with {before.name}: {before.card.training_data}", (before.card.data_terms,)


def _limits(data: PreparedSet, split: Split, views: tuple[str, ...]) -> tuple[str, ...]:
    learnt_from = data.inputs
    synthetic = "Knows phantoms only: its score says nothing about a real breast."
    return (
        *((synthetic,) if _domain(data, split) == _PHANTOM else ()),
        "Looks at each view by itself: no comparison of sides, views or dates.",
        f"Sees pictures of {learnt_from.height} x {learnt_from.width} pixels; learnt from views {', '.join(views)}.",
        "Measured on the validation part that its checkpoint, calibration and threshold were chosen on.",
        *filter(None, [views_tell(breasts_of(data.table, split.rows(data.table, "validation")))]),
    )


def _results(breasts: Units) -> tuple[str, ...]:
    """ROC-AUC and PR-AUC on the validation breasts, with intervals."""

    def words(name: str, found: Estimate) -> str:
        return f"{name} {found.value:.3f} (95 % interval {found.low:.3f} to {found.high:.3f})"

    given = (breasts.scores, breasts.labels, breasts.patients)
    figures = (words("ROC-AUC", bootstrap(roc_auc, *given)), words("PR-AUC", bootstrap(average_precision, *given)))
    return (f"{'; '.join(figures)}, per breast on {_counted(breasts)} of the validation part",)


def _manufacturer(images: pd.DataFrame) -> pd.Series:
    """Whose machine made each image, where the table says so; phantoms name their vendor's letter as the machine."""
    if "manufacturer" in images.columns:
        return images["manufacturer"].astype(str)
    vendors = {vendor.letter: vendor.manufacturer for vendor in VENDORS}
    named = images["machine_id"].astype(str).map(lambda machine: vendors.get(machine, ""))
    return named.where(images["source"] == _PHANTOM, "")


def _counted(breasts: Units) -> str:
    return f"{len(breasts.keys)} breasts, {int(breasts.labels.sum())} with cancer,"


def _write_tables(
    run: Path,
    images: pd.DataFrame,
    logits: NDArray[np.float64],
    scores: NDArray[np.float64],
    breasts: Units,
) -> None:
    """Write the validation scores, one line per breast and one per image."""
    columns = ["image_id", "patient_id", "laterality", "view", "cancer"]
    by_image = images[columns].assign(cancer=images["cancer"].astype(int), logit=logits, score=scores)
    sides = [key.rpartition("/")[2] for key in breasts.keys]
    by_side = pd.DataFrame(
        {
            "patient_id": breasts.patients,
            "laterality": sides,
            "cancer": breasts.labels.astype(int),
            "score": breasts.scores,
        }
    )
    for name, table in ((VALIDATION_IMAGES, by_image), (VALIDATION, by_side)):
        write_atomic(run / name, table.to_csv(index=False).encode())
