"""The woman and her two breasts: sizes in mm that every view and every year of hers shares.

Breast coordinates, in mm: ``d`` depth from the nipple towards the chest wall, ``l`` lateral of the nipple
(negative is medial), ``h`` above it (negative is below). They are the same for a left and a right breast.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from mammo_core.mammogram import Laterality
from mammo_core.phantom.seeds import ExamSeed
from mammo_core.phantom.settings import PhantomSettings

Density = Literal["A", "B", "C", "D"]
DENSITIES: tuple[Density, Density, Density, Density] = ("A", "B", "C", "D")
SIDES: tuple[Laterality, Laterality] = ("R", "L")


@dataclass(frozen=True)
class Breast:
    """One breast, compressed; lengths in mm, angles in degrees."""

    laterality: Laterality
    depth: float
    """Nipple to pectoral muscle, the posterior nipple line."""
    lateral: float
    medial: float
    """Half widths of the CC outline at the chest wall."""
    superior: float
    inferior: float
    """Half heights of the breast proper in the MLO outline."""
    fullness: float
    """Exponent of the outline: 1.8 is conical, 2.8 is round."""
    thickness_cc: float
    thickness_mlo: float
    droop: float
    """Angle of the nipple axis below the horizontal in MLO."""
    tube_angle: float
    """Angle of the x-ray tube in MLO: 0 would be CC, 90 the true lateral."""
    axilla: float
    """Width of the tissue at the upper edge of an MLO."""
    pectoral_width: float
    """Width of the pectoral muscle at the upper edge of an MLO."""
    pectoral_length: float
    """Where the muscle meets the chest-wall edge, as a share of the nipple's height in the picture."""
    fold: float
    """Height of the inframammary fold in an MLO, as a share of the picture's."""
    nipple: float
    """Radius of the nipple."""
    subcutaneous: float
    """Thickness of the fat between skin and gland."""
    gland_share: float
    """Share of the breast's shadow in which the gland shows."""
    gland_weight: float
    """Volume fraction of fibroglandular tissue inside the gland."""


@dataclass(frozen=True)
class Patient:
    """Who is imaged: one pair of breasts and what a header says about her."""

    age: int
    density: Density
    breasts: tuple[Breast, Breast]
    """Right, left."""


def draw_patient(settings: PhantomSettings, seed: ExamSeed) -> Patient:
    """Draw age, density and both breasts; density falls with age (ACR BI-RADS classes A to D)."""
    rng = seed.stream("patient")
    shares = np.asarray(settings.density_shares, np.float64)
    density = DENSITIES[int(rng.choice(4, p=shares / shares.sum()))]
    age = int(np.clip(rng.normal({"A": 64, "B": 60, "C": 54, "D": 49}[density], 9), 36, 88))
    both = _draw_size(rng, density)
    breasts = tuple(_vary(both, side, seed.stream("symmetry", i)) for i, side in enumerate(SIDES))
    return Patient(age, density, (breasts[0], breasts[1]))


def _draw_size(rng: np.random.Generator, density: Density) -> dict[str, float]:
    """Draw the sizes that both breasts share; fatty breasts tend to be larger."""
    size = float(np.clip(rng.normal({"A": 1.12, "B": 1.04, "C": 0.93, "D": 0.82}[density], 0.14), 0.62, 1.3))
    depth = 96.0 * size * rng.uniform(0.9, 1.12)
    share = {"A": (0.10, 0.22), "B": (0.28, 0.46), "C": (0.52, 0.72), "D": (0.78, 0.93)}[density]
    weight = {"A": (0.12, 0.20), "B": (0.20, 0.32), "C": (0.32, 0.46), "D": (0.46, 0.60)}[density]
    return {
        "depth": depth,
        "lateral": 98.0 * size**0.7 * rng.uniform(0.92, 1.08),
        "medial": 92.0 * size**0.7 * rng.uniform(0.9, 1.08),
        "superior": 92.0 * size**0.6,
        "inferior": 64.0 * size**0.8 * rng.uniform(0.9, 1.1),
        "fullness": rng.uniform(1.85, 2.5),
        "thickness_cc": 52.0 * size**0.8 * rng.uniform(0.85, 1.15),
        "thickness_mlo": 55.0 * size**0.8 * rng.uniform(0.85, 1.15),
        "droop": rng.uniform(6.0, 26.0),
        "tube_angle": rng.uniform(42.0, 55.0),
        "axilla": (46.0 + 22.0 * size) * rng.uniform(0.85, 1.2),
        "pectoral_width": rng.uniform(30.0, 58.0),
        "pectoral_length": rng.uniform(0.78, 1.12),
        "fold": rng.uniform(0.82, 0.97),
        "nipple": rng.uniform(4.0, 6.5),
        "subcutaneous": rng.uniform(6.0, 13.0) * size,
        "gland_share": rng.uniform(*share),
        "gland_weight": rng.uniform(*weight),
    }


def _vary(both: dict[str, float], side: Laterality, rng: np.random.Generator) -> Breast:
    """Return one breast: the shared sizes, each a few per cent off."""
    return Breast(side, **{name: value * float(rng.normal(1.0, 0.03)) for name, value in both.items()})
