"""Vessels, ducts and Cooper's ligaments: curves in breast coordinates, drawn as shadows on the picture."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from mammo_core.phantom.anatomy import Breast
from mammo_core.phantom.geometry import Plate, Projection, smooth_curve
from mammo_core.phantom.texture import Field

Kind = Literal["vessel", "duct", "ligament"]


@dataclass(frozen=True)
class Curve:
    """A tube of tissue: points (N, 3) as (d, l, h) in mm, diameter in mm at both ends."""

    kind: Kind
    points: NDArray[np.float64]
    start_mm: float
    end_mm: float
    strength: float
    """Length of gland-like tissue, in mm, that the ray meets."""


def draw_curves(breast: Breast, rng: np.random.Generator) -> tuple[Curve, ...]:
    """Draw the curves of one breast."""
    curves = [*_ducts(breast, rng), *_vessels(breast, rng), *_ligaments(breast, rng)]
    return tuple(curves)


def _ducts(breast: Breast, rng: np.random.Generator) -> list[Curve]:
    """Draw the ductal tree: some trunks from the nipple into the gland, forking twice or three times."""
    trunks = [(np.array([4.0, rng.normal(0, 1.2), rng.normal(0, 1.2)]), _cone(rng, 0.5), 1.7, 0)]
    trunks += [(np.array([4.0, rng.normal(0, 2.0), rng.normal(0, 2.0)]), _cone(rng, 0.55), 1.4, 0) for _ in range(9)]
    curves = []
    while trunks:
        start, direction, width, level = trunks.pop()
        length = breast.depth * rng.uniform(0.16, 0.30)
        middle = start + direction * length * 0.5 + rng.normal(0, 1.6, 3)
        end = start + direction * length + rng.normal(0, 1.6, 3)
        curves.append(Curve("duct", smooth_curve(np.array([start, middle, end]), 8), width, width * 0.75, 1.3 * width))
        if level < 3:
            for _ in range(2):
                turned = direction + rng.normal(0.0, 0.30, 3)
                trunks.append((end, turned / np.linalg.norm(turned), width * 0.74, level + 1))
    return curves


def _cone(rng: np.random.Generator, spread: float) -> NDArray[np.float64]:
    """Return a unit vector pointing backwards from the nipple within a cone."""
    direction = np.array([1.0, *rng.normal(0.0, spread, 2)])
    return np.asarray(direction / np.linalg.norm(direction), np.float64)


def _vessels(breast: Breast, rng: np.random.Generator) -> list[Curve]:
    """Draw veins and arteries from the upper outer chest wall towards the nipple, winding, with a branch or two."""
    curves = []
    for _ in range(int(rng.integers(3, 7))):
        l0 = rng.uniform(-0.75, 0.9) * breast.lateral
        h0 = rng.uniform(-0.6, 1.0) * breast.superior
        begin = np.array([breast.depth * rng.uniform(1.15, 1.6), l0, h0])
        end = np.array([breast.depth * rng.uniform(0.12, 0.4), l0 * rng.uniform(0.1, 0.6), h0 * rng.uniform(0.1, 0.6)])
        knots = np.linspace(begin, end, 9)
        swing = np.cumsum(rng.normal(0.0, 2.2, (9, 3)), axis=0)
        knots += swing - np.linspace(swing[0], swing[-1], 9) + rng.normal(0, 0.6, (9, 3))
        width = rng.uniform(0.9, 2.0)
        curves.append(Curve("vessel", smooth_curve(knots, 10), width, width * 0.6, 1.3 * width))
        if rng.random() < 0.7:
            at = int(rng.integers(2, 6))
            tip = knots[at] + np.array([-0.3 * breast.depth, *rng.normal(0, 18.0, 2)])
            branch = np.linspace(knots[at], tip, 6) + rng.normal(0, 1.2, (6, 3))
            branch[0] = knots[at]
            curves.append(Curve("vessel", smooth_curve(branch, 10), width * 0.7, width * 0.4, 0.8 * width))
    return curves


def _ligaments(breast: Breast, rng: np.random.Generator) -> list[Curve]:
    """Draw ligaments: thin sheets seen edge on, bowed, from the gland's face forwards and through the fat behind."""
    curves = []
    for _ in range(150):
        start = np.array(
            [
                breast.depth * rng.uniform(0.05, 1.0),
                rng.normal(0.0, 0.5) * breast.lateral,
                rng.normal(0.1, 0.5) * breast.superior,
            ]
        )
        # They fan out from a point some way in front of the nipple.
        backwards = start + np.array([30.0, 0.0, 0.0])
        direction = backwards / np.linalg.norm(backwards) + rng.normal(0.0, 0.28, 3)
        length = rng.uniform(9.0, 34.0)
        bow = rng.normal(0.0, 0.13 * length, 3)
        knots = np.array([start, start + 0.5 * length * direction + bow, start + length * direction])
        curves.append(Curve("ligament", smooth_curve(knots, 8), rng.uniform(0.3, 0.7), 0.3, rng.uniform(0.6, 2.2)))
    return curves


GREYS = 3
"""Mm of tissue at grey 255 of a layer."""


def trace(curves: tuple[Curve, ...], projection: Projection, plate: Plate, kinds: tuple[Kind, ...]) -> Field:
    """Return the length of tissue in mm that the curves of ``kinds`` add to each ray, float32 (rows, columns).

    Curves of one kind do not add where they cross; different kinds do.
    """
    total = np.zeros((plate.rows, plate.columns), np.float32)
    for kind in kinds:
        layer = np.zeros((plate.rows, plate.columns), np.uint8)
        for curve in sorted((c for c in curves if c.kind == kind), key=lambda c: c.strength):
            _stroke(layer, curve, projection.on_plate(curve.points) / plate.spacing - 0.5, plate.spacing)
        blurred = cv2.GaussianBlur(layer, (0, 0), max(0.35, 0.12 / plate.spacing))
        total += blurred.astype(np.float32) * np.float32(GREYS / 255)
    return total


def _stroke(layer: NDArray[np.uint8], curve: Curve, points: NDArray[np.float64], spacing: float) -> None:
    """Draw one curve into ``layer`` in pieces, from its start width to its end width, fading out at its loose ends."""
    shift = 4
    fixed = np.round(points * 2**shift).astype(np.int32).reshape(-1, 1, 2)
    bounds = np.linspace(0, len(fixed) - 1, min(len(fixed), 9)).astype(int)
    for first, last in pairwise(bounds):
        t = 0.5 * (first + last) / (len(fixed) - 1)
        fade = min(1.0, 3.0 * (1.0 - t), 3.0 * t if curve.kind != "duct" else 1.0)
        width = (curve.start_mm + (curve.end_mm - curve.start_mm) * t) / spacing
        # A line cannot be thinner than a pixel: what is thinner is drawn fainter.
        grey = curve.strength * fade * min(width, 1.0) * 255 / GREYS
        run = fixed[first : last + 1]
        cv2.polylines(layer, [run], False, min(255, round(grey)), max(1, round(width)), cv2.LINE_AA, shift)
