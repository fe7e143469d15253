"""Masses and calcifications: placed in breast coordinates, shown by both views as shadows of one thing."""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from mammo_core.phantom.geometry import Plate, Projection
from mammo_core.phantom.texture import Field

Kind = Literal[
    "round mass",
    "lobulated mass",
    "spiculated mass",
    "pleomorphic cluster",
    "punctate cluster",
    "coarse calcification",
]
MALIGNANT: tuple[Kind, ...] = ("spiculated mass", "pleomorphic cluster")
BENIGN: tuple[Kind, ...] = ("round mass", "lobulated mass", "punctate cluster", "coarse calcification")


@dataclass(frozen=True)
class Specks:
    """Calcifications: positions relative to the lesion, (N, 3) mm as (d, l, h); radii (N,) mm."""

    offsets: NDArray[np.float64]
    radii: NDArray[np.float64]


@dataclass(frozen=True)
class Lesion:
    """One lesion of one breast; position (d, l, h) and size in mm."""

    kind: Kind
    position: tuple[float, float, float]
    size_mm: float
    """Diameter of a mass core or of a calcification, extent of a cluster."""
    contrast: float
    """What the lesion adds to the attenuation, as a share of what its composition would add."""
    outline: NDArray[np.float64]
    """Harmonics (K, 2) of a mass outline: relative cosine and sine amplitude of order k + 1."""
    spicules: NDArray[np.float64]
    """(N, 3) directions times length in mm of the spicules."""
    specks: Specks

    @property
    def malignant(self) -> bool:
        """Whether this kind of lesion makes the breast one with cancer."""
        return self.kind in MALIGNANT


@dataclass(frozen=True)
class LesionShadow:
    """What one lesion adds to one picture, float32 (rows, columns) each, and where it is."""

    mass: Field
    """Length of the ray through the mass in mm."""
    calcium: Field
    """Length of the ray through calcification in mm."""
    mask: NDArray[np.bool_]
    """The lesion's area: a mass with the roots of its spicules, or the hull of a cluster."""


FLATTENED = 0.6
"""Height of a mass under compression, as a share of its width."""
NO_SPECKS = Specks(np.zeros((0, 3)), np.zeros(0))
NO_SPICULES = np.zeros((0, 3))


def draw_lesion(kind: Kind, position: tuple[float, float, float], size_mm: float, rng: np.random.Generator) -> Lesion:
    """Draw the shape of one lesion."""
    # Cancers tend to be denser than what is benign, but the two overlap.
    contrast = float(rng.uniform(0.75, 1.5) if kind in MALIGNANT else rng.uniform(0.5, 1.1))
    outline, spicules, specks = np.zeros((0, 2)), NO_SPICULES, NO_SPECKS
    if kind == "round mass":
        outline = rng.normal(0.0, [[0.0], [0.05], [0.02]], (3, 2))
    elif kind == "lobulated mass":
        outline = rng.normal(0.0, [[0.0], [0.07], [0.08], [0.06], [0.03]], (5, 2))
    elif kind == "spiculated mass":
        outline = rng.normal(0.0, 0.085, (9, 2)) / np.sqrt(np.arange(1, 10))[:, None]
        outline[0] = 0.0
        spicules = _spicules(size_mm, rng)
    elif kind == "pleomorphic cluster":
        specks = _pleomorphic(size_mm, rng)
    elif kind == "punctate cluster":
        count = int(rng.integers(3, 8))
        specks = Specks(rng.normal(0.0, size_mm / 2.2, (count, 3)), rng.uniform(0.16, 0.24, count))
    else:
        grains = int(rng.integers(4, 9))
        specks = Specks(rng.normal(0.0, size_mm * 0.20, (grains, 3)), rng.uniform(0.22, 0.36, grains) * size_mm)
    return Lesion(kind, position, size_mm, contrast, outline, spicules, specks)


def _spicules(size_mm: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw the spicules of a malignant mass: all ways round, up to three times the radius long."""
    directions = rng.normal(0.0, 1.0, (int(rng.integers(22, 44)), 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return directions * (size_mm * rng.uniform(0.75, 1.7, (len(directions), 1)))


def _pleomorphic(size_mm: float, rng: np.random.Generator) -> Specks:
    """Draw a cluster that differs in size and shape, often along a duct: fine linear branching."""
    count = int(rng.integers(10, 34))
    axis = rng.normal(0.0, 1.0, 3)
    axis /= np.linalg.norm(axis)
    stretched = rng.normal(0.0, size_mm / 6.5, (count, 3))
    stretched += axis * rng.uniform(-0.5, 0.5, (count, 1)) * size_mm * rng.uniform(0.2, 1.0)
    radii = np.exp(rng.normal(np.log(0.17), 0.42, count)).clip(0.08, 0.5)
    # Some grains are short rods: three balls in a row.
    rods = rng.random(count) < 0.4
    step = rng.normal(0.0, 0.22, (count, 3))
    offsets = np.vstack([stretched, stretched[rods] + step[rods], stretched[rods] - step[rods]])
    return Specks(offsets, np.concatenate([radii, radii[rods] * 0.8, radii[rods] * 0.7]))


def cast(lesion: Lesion, projection: Projection, plate: Plate) -> LesionShadow:
    """Draw one lesion's shadow."""
    mass = np.zeros((plate.rows, plate.columns), np.float32)
    calcium = np.zeros_like(mass)
    mask = np.zeros(mass.shape, np.uint8)
    centre = np.array([lesion.position])
    if len(lesion.outline):
        _cast_mass(lesion, projection.on_plate(centre)[0], plate, mass, mask)
    if len(lesion.spicules):
        _cast_spicules(lesion, projection, plate, mass)
    if len(lesion.specks.radii):
        points = projection.on_plate(centre + lesion.specks.offsets)
        _cast_specks(lesion.specks.radii, points, plate, calcium, mask)
    return LesionShadow(mass, calcium, mask > 0)


def _window(x: float, y: float, reach: float, plate: Plate) -> tuple[slice, slice, Field, Field]:
    """Return the part of the picture within ``reach`` mm of (x, y) and its pixels' offsets from there in mm."""
    rows = slice(*(int(np.clip((y + s * reach) / plate.spacing, 0, plate.rows)) for s in (-1, 1)))
    columns = slice(*(int(np.clip((x + s * reach) / plate.spacing, 0, plate.columns)) for s in (-1, 1)))
    down = (np.arange(rows.start, rows.stop) + 0.5)[:, None] * plate.spacing - y
    right = (np.arange(columns.start, columns.stop) + 0.5)[None, :] * plate.spacing - x
    return rows, columns, down.astype(np.float32), right.astype(np.float32)


def _cast_mass(lesion: Lesion, at: NDArray[np.float64], plate: Plate, mass: Field, mask: NDArray[np.uint8]) -> None:
    """Add the chord length of a flattened ball whose radius follows the outline; its margin is as sharp as its kind."""
    radius = lesion.size_mm / 2
    rows, columns, down, right = _window(float(at[0]), float(at[1]), 2.2 * radius, plate)
    if rows.start == rows.stop or columns.start == columns.stop:
        return
    angle = np.arctan2(down, right)
    edge = np.full(angle.shape, radius, np.float32)
    for order, (cos, sin) in enumerate(lesion.outline, start=1):
        edge += np.float32(radius) * (np.float32(cos) * np.cos(order * angle) + np.float32(sin) * np.sin(order * angle))
    distance = np.sqrt(down * down + right * right)
    chord = np.float32(2.0 * FLATTENED) * np.sqrt(np.maximum(edge * edge - distance * distance, 0.0))
    softness = 0.12 * radius if lesion.kind == "spiculated mass" else 0.3
    mass[rows, columns] += cv2.GaussianBlur(chord, (0, 0), max(0.5, softness / plate.spacing))
    mask[rows, columns] |= (distance <= edge * np.float32(1.05)).astype(np.uint8)


def _cast_spicules(lesion: Lesion, projection: Projection, plate: Plate, mass: Field) -> None:
    """Add thin strands that taper away from the core."""
    shift, grey_mm = 4, 4.0
    layer = np.zeros(mass.shape, np.uint8)
    centre = np.array(lesion.position)
    for order, spicule in enumerate(lesion.spicules):
        bend = np.roll(spicule, 1) * (0.10 if order % 2 else -0.10)
        t = np.linspace(0.15, 1.0, 7)[:, None]
        points = projection.on_plate(centre + spicule * t + bend * t**2) / plate.spacing - 0.5
        fixed = np.round(points * 2**shift).astype(np.int32)
        for i in range(6):
            width = 1.2 * (1.0 - i / 7) / plate.spacing
            grey = 255 / grey_mm * 2.6 * (1.0 - i / 6.5) * min(width, 1.0)
            cv2.line(layer, fixed[i], fixed[i + 1], round(grey), max(1, round(width)), cv2.LINE_AA, shift)
    mass += cv2.GaussianBlur(layer, (0, 0), max(0.4, 0.2 / plate.spacing)).astype(np.float32) * np.float32(
        grey_mm / 255
    )


def _cast_specks(
    radii: NDArray[np.float64], points: NDArray[np.float64], plate: Plate, calcium: Field, mask: NDArray[np.uint8]
) -> None:
    """Add balls of calcium, averaged over each pixel on a grid of 4 x 4 points; the mask is their hull and 0.8 mm."""
    fine = 4
    for radius, (x, y) in zip(radii, points, strict=True):
        reach = radius + 2 * plate.spacing
        rows, columns, _, _ = _window(float(x), float(y), reach, plate)
        high, wide = rows.stop - rows.start, columns.stop - columns.start
        if high == 0 or wide == 0:
            continue
        step = plate.spacing / fine
        down = (rows.start * fine + np.arange(high * fine) + 0.5)[:, None] * step - y
        right = (columns.start * fine + np.arange(wide * fine) + 0.5)[None, :] * step - x
        chord = 2.0 * np.sqrt(np.maximum(radius**2 - down**2 - right**2, 0.0))
        mean = chord.reshape(high, fine, wide, fine).mean(axis=(1, 3))
        calcium[rows, columns] += mean.astype(np.float32)
    hull = cv2.convexHull(np.round(points / plate.spacing - 0.5).astype(np.int32))
    cv2.fillConvexPoly(mask, hull, 1)
    margin = max(3, 2 * round((0.8 + float(radii.max())) / plate.spacing) + 1)
    wider = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (margin, margin)))
    np.maximum(mask, wider.astype(np.uint8), out=mask)
