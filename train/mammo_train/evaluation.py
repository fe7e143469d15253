"""What an evaluation found, as one value: what ``evaluation.json`` holds and what the report shows.

Knows nothing of how it was found or how it is shown.
"""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from mammo_core.intervals import Estimate, PairedDifference
from mammo_core.operating_point import OperatingPoint
from mammo_core.settings import Settings
from mammo_core.threshold_groups import AGE_BANDS
from mammo_train.measures import AtThreshold, CalibrationBin, Level
from mammo_train.subgroups import Subgroup

SCHEMA = 1


class EvaluationSettings(Settings):
    """How an evaluation is made. The defaults are those of the protocol."""

    draws: int = Field(default=2000, ge=1)
    """Bootstrap draws of patients behind every interval."""
    seed: int = 0
    """Seed of these draws and of the sample of heatmaps."""
    wanted: float = Field(default=0.9, gt=0, le=1)
    """Sensitivity, or specificity, of the operating points that hold one of them."""
    recall_rate: float = Field(default=0.1, gt=0, le=1)
    """Recall rate of the operating point that holds it; screening programmes aim at 3 to 12 %."""
    few: int = Field(default=10, ge=0)
    """Positives or negatives below which a subgroup is warned about."""
    age_bands: tuple[float, ...] = AGE_BANDS
    """Ages at which a new band begins."""
    calibration_bins: int = Field(default=10, ge=1)
    """Ranges of probability, each with as many units."""
    heatmap_images: int = Field(default=2000, ge=0)
    """Images whose heatmaps are measured: those with a lesion mask, the gallery, then at random from both classes."""
    gallery: int = Field(default=6, ge=0)
    """Cases of each kind in the gallery."""


@dataclass(frozen=True)
class Subject:
    """What was evaluated: which model on which rows of which set."""

    model: str
    model_version: str
    model_sha256: str
    training_domain: str
    data_source: str
    data_sha256: str
    part: str
    """"train", "validation", "test", or "all" of the set."""
    split_sha256: str
    """Empty where no split was given."""
    images: int
    breasts: int
    patients: int
    stated_prevalence: float | None
    """Share of positive units, of whatever kind, that figures are also given at."""


@dataclass(frozen=True)
class Point:
    """An operating point: chosen on validation, applied unchanged."""

    name: str
    chosen: OperatingPoint
    """With its sensitivity and specificity on the validation scores that it comes from."""
    breast: AtThreshold
    patient: AtThreshold
    """A patient is flagged when a breast is."""


@dataclass(frozen=True)
class BaselineResult:
    """The model beside what can be told without the picture, on the same breasts."""

    kind: str
    how: str
    """What it was fitted on, or why it could not be."""
    roc_auc: Estimate | None
    pr_auc: Estimate | None
    roc_auc_above: PairedDifference | None
    """How much higher the model's ROC-AUC is."""
    pr_auc_above: PairedDifference | None


@dataclass(frozen=True)
class Convention:
    """Figures under one reading of BI-RADS 3, where BI-RADS is the truth."""

    name: str
    level: Level
    at_threshold: AtThreshold | None


@dataclass(frozen=True)
class Localisation:
    """Heatmaps against lesion masks, on images of one kind."""

    images: str
    """"malignant" or "benign"."""
    n: int
    patients: int
    without_map: int
    """Images among them in which nothing is localised: a miss, and no share of heat."""
    pointing: Estimate
    """Share of images whose strongest place is in a lesion or within half a cell of one."""
    pointing_at_random: float
    """Share that pointing anywhere in the breast would achieve."""
    heat_in_lesion: Estimate
    """Mean share of the heat over the breast that lies in the mask."""
    lesion_share: float
    """Mean share of the breast that the mask covers, over the same images."""
    shuffled_pointing: Estimate
    """``pointing`` of the same network with its weights shuffled (`mammo_train.localise.shuffled`)."""
    shuffled_heat_in_lesion: Estimate
    """``heat_in_lesion`` of the same network with its weights shuffled."""


@dataclass(frozen=True)
class HeatDifference:
    """One measure of heatmaps in malignant and in negative images, and its difference."""

    measure: str
    title: str
    malignant: Estimate
    negative: Estimate
    difference: Estimate
    n_malignant: int
    n_negative: int


@dataclass(frozen=True)
class Evaluation:
    """Everything that was found, without the scores themselves."""

    subject: Subject
    settings: EvaluationSettings
    warnings: tuple[str, ...]
    """What the reader must know before believing a figure."""
    levels: tuple[Level, ...]
    operating_points: tuple[Point, ...]
    calibration: tuple[CalibrationBin, ...]
    """Breasts, probabilities as given, at the set's own prevalence."""
    calibration_stated: tuple[CalibrationBin, ...]
    """Breasts, re-weighted and shifted to the stated prevalence."""
    subgroups: tuple[Subgroup, ...]
    baselines: tuple[BaselineResult, ...]
    conventions: tuple[Convention, ...]
    localisation: tuple[Localisation, ...]
    heat_differences: tuple[HeatDifference, ...]
    heat_sample: str
    """Which images' heatmaps were measured, in words."""


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """Arrange ``evaluation.json``; a figure that does not exist is null."""
    found = {field.name: _plain(getattr(evaluation, field.name)) for field in dataclasses.fields(evaluation)}
    return {"schema": SCHEMA, **found}


def json_text(found: Mapping[str, Any]) -> str:
    """Write what `as_json` arranged."""
    return json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(value: object) -> Any:
    """Values -> what JSON has: dataclasses and settings as objects, NaN as null."""
    if isinstance(value, Settings):
        return _plain(value.model_dump(mode="json"))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value
