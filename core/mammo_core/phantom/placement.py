"""Which lesions an exam has, where in the breast, and what they were like at an earlier exam."""

from dataclasses import replace

import numpy as np

from mammo_core.mammogram import Laterality
from mammo_core.phantom.anatomy import Breast, Patient
from mammo_core.phantom.lesions import BENIGN, Kind, Lesion, draw_lesion
from mammo_core.phantom.seeds import ExamSeed
from mammo_core.phantom.settings import PhantomSettings

Found = tuple[tuple[Laterality, Lesion], ...]


def draw_lesions(settings: PhantomSettings, patient: Patient, cancer: bool, seed: ExamSeed) -> Found:
    """Draw the lesions of both breasts: a cancer in one of them if ``cancer``, benign ones at their own rate."""
    rng = seed.stream("lesions")
    sick = int(rng.integers(2)) if cancer else -1
    found: list[tuple[Laterality, Lesion]] = []
    for i, breast in enumerate(patient.breasts):
        kinds: list[Kind] = []
        if i == sick:
            share = rng.random()
            kinds += ["spiculated mass"] if share < 0.75 else []
            kinds += ["pleomorphic cluster"] if share > 0.6 else []
        if rng.random() < settings.benign_share * (0.3 if i == sick else 1.0):
            kinds.append(BENIGN[int(rng.choice(len(BENIGN), p=(0.4, 0.2, 0.15, 0.25)))])
        where = _place(breast, rng)
        for kind in kinds:
            if kind in BENIGN:
                where = _place(breast, rng)
            found.append((breast.laterality, draw_lesion(kind, where, _size(settings, kind, rng), rng)))
    return tuple(found)


def _size(settings: PhantomSettings, kind: Kind, rng: np.random.Generator) -> float:
    """Draw a size in mm; small masses are commoner than large ones."""
    if kind.endswith("mass"):
        spread = max(settings.largest_mass_mm - settings.smallest_mass_mm, 0.0)
        return float(settings.smallest_mass_mm + spread * rng.beta(1.3, 2.2))
    low, high = {"pleomorphic cluster": (8.0, 26.0), "punctate cluster": (6.0, 16.0)}.get(kind, (1.2, 4.0))
    return float(rng.uniform(low, high))


def _place(breast: Breast, rng: np.random.Generator) -> tuple[float, float, float]:
    """Draw a place well inside the breast, in half of all cases in its upper outer quadrant."""
    depth = rng.uniform(0.24, 0.74)
    # A round breast is half as wide as it is at the chest wall some way behind the nipple.
    reach = np.sqrt(1.0 - (1.0 - depth) ** 2) * np.sqrt(rng.uniform(0.0, 1.0)) * 0.55
    angle = rng.uniform(0.0, 0.5 * np.pi) if rng.random() < 0.4 else rng.uniform(0.0, 2.0 * np.pi)
    lateral, above = np.cos(angle), np.sin(angle)
    lateral *= reach * (breast.lateral if lateral > 0 else breast.medial)
    above *= reach * (0.62 * breast.superior if above > 0 else breast.inferior)
    return float(depth * breast.depth), float(lateral), float(above)


def earlier(found: Found, seed: ExamSeed) -> Found:
    """Return the lesions some years before: cancers smaller or not there, benign ones as they are."""
    rng = seed.stream("lesions", 1)
    past: list[tuple[Laterality, Lesion]] = []
    for side, lesion in found:
        shrink, absent = float(rng.uniform(0.35, 0.65)), rng.random() < 0.4
        if not lesion.malignant:
            past.append((side, lesion))
        elif not absent:
            past.append((side, _smaller(lesion, shrink)))
    return tuple(past)


def _smaller(lesion: Lesion, share: float) -> Lesion:
    """Return the lesion at ``share`` of its size; a cluster keeps the same share of its grains."""
    kept = round(len(lesion.specks.radii) * share)
    specks = replace(lesion.specks, offsets=share * lesion.specks.offsets[:kept], radii=lesion.specks.radii[:kept])
    return replace(lesion, size_mm=share * lesion.size_mm, spicules=share * lesion.spicules, specks=specks)
