"""Heatmaps of many images: which are drawn, what is measured of them, and what that says of the model.

Knows nothing of how a map is made or measured (`mammo_train.localise`) or drawn (`mammo_train.gallery`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from mammo_core.checkpoint import Checkpoint
from mammo_core.heatmap import Heatmap, methods
from mammo_core.intervals import Estimate
from mammo_train.evaluation import EvaluationSettings, HeatDifference, Localisation
from mammo_train.gallery import Group, Layers, chosen, heat_scale, layers
from mammo_train.localise import HeatFacts, breast_of, heatmaps, measured_heat, shuffled
from mammo_train.measures import Resampling, mean_difference
from mammo_train.prepared_set import PreparedSet

_MEASURES = {
    "peak": "peak of the map, in logits",
    "spread": "share of the breast that holds half of the heat",
    "heat_in_lesion": "share of the heat inside the lesion mask",
}


@dataclass(frozen=True)
class Case:
    """One case of the gallery."""

    caption: str
    score: float
    cancer: bool
    facts: HeatFacts
    layers: Layers


@dataclass(frozen=True)
class HeatStudy:
    """What was found, and the pictures to look at."""

    facts: tuple[HeatFacts, ...]
    localisation: tuple[Localisation, ...]
    differences: tuple[HeatDifference, ...]
    sample: str
    """Which images were measured, in words."""
    method: str
    """How the maps were made."""
    gallery: tuple[tuple[Group, tuple[Case, ...]], ...]
    scale: float
    """Heat that the gallery draws at full strength."""


def heat_study(
    checkpoint: Checkpoint,
    data: PreparedSet,
    rows: NDArray[np.intp],
    scores: NDArray[np.float64],
    settings: EvaluationSettings,
    resampling: Resampling,
    *,
    device: torch.device,
    tell: Callable[[str, int, int], None],
) -> HeatStudy:
    """Draw and measure heatmaps of ``rows`` ``(N,)`` of the set, whose images have ``scores`` ``(N,)``."""
    groups = chosen(data.table, rows, scores, settings.gallery)
    shown = {row for group in groups for row in group.rows}
    wanted, sample = _sample(data.table, rows, sorted(shown), settings)
    facts: dict[int, HeatFacts] = {}
    kept: dict[int, Heatmap] = {}
    drawn = heatmaps(checkpoint, data, wanted, device=device, tell=lambda done: tell("heatmaps", done, len(wanted)))
    for row, heat in drawn:
        facts[row] = measured_heat(row, heat, breast_of(data.image(row)), data.mask(row))
        if row in shown:
            kept[row] = heat
    masked = [row for row in wanted if facts[row].pointed is not None]
    control = dict[int, HeatFacts]()
    for row, heat in heatmaps(
        shuffled(checkpoint, settings.seed),
        data,
        masked,
        device=device,
        tell=lambda done: tell("heatmaps of shuffled weights", done, len(masked)),
    ):
        control[row] = measured_heat(row, heat, breast_of(data.image(row)), data.mask(row))
    scale = heat_scale([fact.peak for fact in facts.values()])
    score_of = dict(zip(rows.tolist(), scores.tolist(), strict=True))
    gallery = tuple(
        (group, tuple(_case(data, row, score_of[row], facts[row], kept[row], scale) for row in group.rows))
        for group in groups
    )
    found = tuple(facts[row] for row in wanted)
    return HeatStudy(
        facts=found,
        localisation=tuple(_localisation(data.table, found, control, resampling)),
        differences=tuple(_differences(data.table, found, resampling)),
        sample=sample,
        method=methods(checkpoint)[0].title,
        gallery=gallery,
        scale=scale,
    )


def _sample(
    table: pd.DataFrame, rows: NDArray[np.intp], shown: Sequence[int], settings: EvaluationSettings
) -> tuple[list[int], str]:
    """Choose rows to measure: all if they are few enough, else the shown and masked ones and a draw of both classes."""
    limit = settings.heatmap_images
    if rows.size <= limit:
        return rows.tolist(), f"all {rows.size:,} images"
    generator = np.random.default_rng(settings.seed)
    cancer = table["cancer"].to_numpy(bool)[rows]
    masked = (table["mask"].astype(str) != "").to_numpy()[rows]
    taken = dict.fromkeys(shown)
    # With masks first, then positives and negatives in turn, so that a rare class is there.
    lots = [generator.permutation(rows[chosen]) for chosen in (masked, cancer & ~masked, ~cancer & ~masked)]
    for row in lots[0]:
        if len(taken) < limit:
            taken[int(row)] = None
    for place in range(max(lots[1].size, lots[2].size)):
        for lot in lots[1:]:
            if place < lot.size and len(taken) < limit:
                taken[int(lot[place])] = None
    words = f"{len(taken):,} of {rows.size:,} images: those with a lesion mask first, then at random from both classes"
    return sorted(taken), words


def _case(data: PreparedSet, row: int, score: float, facts: HeatFacts, heat: Heatmap, scale: float) -> Case:
    line = data.table.iloc[row]
    return Case(
        caption=f"{line['image_id']}, {line['laterality']}{line['view']}",
        score=score,
        cancer=bool(line["cancer"]),
        facts=facts,
        layers=layers(data.image(row), heat, data.mask(row), scale),
    )


def _localisation(
    table: pd.DataFrame, facts: Sequence[HeatFacts], control: Mapping[int, HeatFacts], resampling: Resampling
) -> list[Localisation]:
    """Pointing game and heat in the lesion, apart for malignant and benign images that have a mask.

    ``control`` are the facts of the same rows by a network that knows nothing.
    """
    found = []
    for name, positive in (("malignant", True), ("benign", False)):
        of = [f for f in facts if f.pointed is not None and bool(table["cancer"].iat[f.row]) == positive]
        if not of:
            continue
        patients = [str(table["patient_id"].iat[f.row]) for f in of]
        inside = [f for f in of if np.isfinite(f.heat_in_lesion)]
        pointing, heat = _pointing_and_heat(table, of, resampling)
        pointing_by_chance, heat_by_chance = _pointing_and_heat(table, [control[f.row] for f in of], resampling)
        found.append(
            Localisation(
                images=name,
                n=len(of),
                patients=len(set(patients)),
                without_map=sum(not f.localised for f in of),
                pointing=pointing,
                pointing_at_random=float(np.mean([f.pointed_share for f in of])),
                heat_in_lesion=heat,
                lesion_share=float(np.mean([f.lesion_share for f in inside])) if inside else float("nan"),
                shuffled_pointing=pointing_by_chance,
                shuffled_heat_in_lesion=heat_by_chance,
            )
        )
    return found


def _pointing_and_heat(
    table: pd.DataFrame, facts: Sequence[HeatFacts], resampling: Resampling
) -> tuple[Estimate, Estimate]:
    """Share of images that point at a lesion, and mean share of the heat in it where anything is localised."""

    def mean(values: Sequence[float], of: Sequence[HeatFacts]) -> Estimate:
        return _mean(values, [str(table["patient_id"].iat[f.row]) for f in of], resampling)

    inside = [f for f in facts if np.isfinite(f.heat_in_lesion)]
    return mean([float(bool(f.pointed)) for f in facts], facts), mean([f.heat_in_lesion for f in inside], inside)


def _differences(table: pd.DataFrame, facts: Sequence[HeatFacts], resampling: Resampling) -> list[HeatDifference]:
    """Malignant against negative images, measure by measure, where it exists in both."""
    found = []
    for measure, title in _MEASURES.items():
        of = [fact for fact in facts if np.isfinite(getattr(fact, measure))]
        cancer = np.array([bool(table["cancer"].iat[fact.row]) for fact in of], np.bool_)
        if not 0 < cancer.sum() < cancer.size:
            continue
        values = np.array([float(getattr(fact, measure)) for fact in of])
        patients = [str(table["patient_id"].iat[fact.row]) for fact in of]
        malignant, negative, difference = mean_difference(values, cancer, patients, resampling)
        counts = int(cancer.sum()), int((~cancer).sum())
        found.append(HeatDifference(measure, title, malignant, negative, difference, *counts))
    return found


def _mean(values: Sequence[float], patients: Sequence[str], resampling: Resampling) -> Estimate:
    if not values:
        return Estimate(float("nan"), float("nan"), float("nan"))
    inside = np.ones(len(values), np.bool_)
    return mean_difference(np.array(values), inside, patients, resampling)[0]
