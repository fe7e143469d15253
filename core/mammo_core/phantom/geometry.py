"""Where the breast is in one picture: outline, skin, thickness, muscle, and breast coordinates per pixel.

Everything here is in the picture of a left breast: chest wall on the left edge, nipple to the right, lateral
(CC) or superior (MLO) side up. Right breasts are mirrored after they are drawn.
"""

from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from mammo_core.phantom.anatomy import Breast
from mammo_core.phantom.texture import Field, smoothstep

View = Literal["CC", "MLO"]
VIEWS: tuple[View, View] = ("CC", "MLO")


@dataclass(frozen=True)
class Plate:
    """The detector: picture size and the distance between pixel centres in mm."""

    rows: int
    columns: int
    spacing: float


@dataclass(frozen=True)
class Projection:
    """How breast coordinates fall on the plate: parallel rays, so depth from the nipple is the same in both views.

    A point (d, l, h) is at ``nipple + d * posterior + a * upwards`` with ``a = l`` in CC and, with the tube at angle t,
    ``a = h sin t + l cos t`` in MLO: what is lateral looks higher than it is, what is medial lower.
    """

    view: View
    nipple: tuple[float, float]
    """Position (x, y) in mm from the upper left corner."""
    tilt: float
    """Angle of the nipple axis below the horizontal, radians."""
    tube: float
    """Angle of the tube, radians; 0 in CC."""

    def across(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the coordinate across the nipple axis of (N, 3) points (d, l, h), (N,) in mm."""
        return np.asarray(points[:, 2] * np.sin(self.tube) + points[:, 1] * np.cos(self.tube), np.float64)

    def on_plate(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where (N, 3) points (d, l, h) fall, (N, 2) as (x, y) in mm from the upper left corner."""
        depth, across = points[:, 0], self.across(points)
        x = self.nipple[0] - depth * np.cos(self.tilt) + across * np.sin(self.tilt)
        y = self.nipple[1] - depth * np.sin(self.tilt) - across * np.cos(self.tilt)
        return np.stack([x, y], axis=1)

    def from_plate(self, x: Field, y: Field) -> tuple[Field, Field]:
        """Return depth and across (mm) of plate positions (mm)."""
        right, down = x - np.float32(self.nipple[0]), y - np.float32(self.nipple[1])
        cos, sin = np.float32(np.cos(self.tilt)), np.float32(np.sin(self.tilt))
        return -right * cos - down * sin, right * sin - down * cos


@dataclass(frozen=True)
class Geometry:
    """One picture's maps, all float32 (rows, columns)."""

    plate: Plate
    """The part of the detector that the breast covers: all its rows, its columns from the chest wall on."""
    projection: Projection
    inside: Field
    """Share of the pixel covered by breast, 0 to 1, nipple included."""
    skin: Field
    """Distance from the skin in mm."""
    thickness: Field
    """Length of the ray through the breast in mm."""
    pectoral: Field
    """Length of the ray through the pectoral muscle in mm."""
    nipple: Field
    """Share of the pixel covered by the nipple, 0 to 1."""
    depth: Field
    across: Field
    """Breast coordinates in mm, see Projection."""


def draw_geometry(breast: Breast, view: View, plate: Plate, rng: np.random.Generator) -> Geometry:
    """Draw the outline of one view. ``rng`` is how the breast was positioned this time."""
    outline, projection = (_cc if view == "CC" else _mlo)(breast, plate, rng)
    covered = int(np.ceil((outline[:, 0].max() + 2.0 * breast.nipple) / plate.spacing)) + 2
    plate = replace(plate, columns=min(plate.columns, covered))
    inside = _fill(outline, plate)
    nipple = _nipple(breast, projection, plate, rng)
    inside_all = np.maximum(inside, nipple)
    pixels = cv2.distanceTransform((inside_all > 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    skin = np.asarray(cv2.GaussianBlur(pixels, (0, 0), 0.6), np.float32) * np.float32(plate.spacing)
    x = (np.arange(plate.columns, dtype=np.float32)[None, :] + 0.5) * np.float32(plate.spacing)
    y = (np.arange(plate.rows, dtype=np.float32)[:, None] + 0.5) * np.float32(plate.spacing)
    x, y = np.broadcast_arrays(x, y)
    depth, across = projection.from_plate(x, y)
    full = breast.thickness_cc if view == "CC" else breast.thickness_mlo
    thickness = _rounded(skin, full) * inside_all
    pectoral = _pectoral(breast, view, plate, x, y, rng) * thickness
    return Geometry(plate, projection, inside_all, skin, thickness, pectoral, nipple, depth, across)


def _rounded(skin: Field, full: float) -> Field:
    """Return the thickness of a plate ``full`` mm thick whose rim is a half circle, a little flattened."""
    radius = 0.55 * full
    t = np.clip(1.0 - skin / np.float32(radius), 0.0, 1.0)
    return np.asarray(np.float32(full) * np.sqrt(np.maximum(1.0 - t * t, 0.02)), np.float32)


def _fill(outline: NDArray[np.float64], plate: Plate) -> Field:
    """Return the antialiased area of a closed outline (N, 2) in mm."""
    shift = 5
    points = np.round((outline / plate.spacing - 0.5) * 2**shift).astype(np.int32)
    canvas = np.zeros((plate.rows, plate.columns), np.uint8)
    cv2.fillPoly(canvas, [points], 255, cv2.LINE_AA, shift)
    return canvas.astype(np.float32) / np.float32(255)


def smooth_curve(knots: NDArray[np.float64], steps: int = 24) -> NDArray[np.float64]:
    """Return a uniform Catmull-Rom curve through (N, 2) knots, ends repeated, as ((N - 1) * steps + 1, 2)."""
    padded = np.vstack([2 * knots[0] - knots[1], knots, 2 * knots[-1] - knots[-2]])
    t = (np.arange(steps) / steps)[None, :, None]
    a, b, c, e = (padded[i : i + len(knots) - 1, None, :] for i in range(4))
    piece = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - e) * t**2 + (3 * b - a - 3 * c + e) * t**3)
    return np.vstack([piece.reshape(-1, knots.shape[1]), knots[-1:]])


def _cc(breast: Breast, plate: Plate, rng: np.random.Generator) -> tuple[NDArray[np.float64], Projection]:
    """Return the outline and projection of a CC: a superellipse, lateral half and medial half of their own width."""
    height, width = plate.rows * plate.spacing, plate.columns * plate.spacing
    depth = min(breast.depth * rng.normal(1.0, 0.02), 0.9 * width - breast.nipple)
    centre = 0.5 * height + rng.normal(0.0, 0.02 * height)
    s = np.linspace(-1.0, 1.0, 241)
    wide = np.where(s < 0, breast.lateral, breast.medial) * rng.normal(1.0, 0.02)
    bluntness = rng.uniform(0.56, 0.80)
    x = (1.0 - np.abs(s) ** breast.fullness) ** bluntness * depth
    # The lateral skin does not close at the chest wall: it runs on into the axilla.
    flare = rng.uniform(0.0, 7.0) * np.exp(-np.square((s + 1.0) / 0.10)) + 1.0
    turn = 0.5 * np.pi * s
    wobble = 1.0 + sum(rng.normal(0.0, 0.006) * np.cos(k * turn + rng.uniform(0, 6.3)) for k in (2, 3, 4, 5))
    rim = np.stack([x * wobble + flare, centre + s * wide], axis=1)
    outline = np.vstack([[-30.0, rim[0, 1] - 4.0], rim, [-30.0, rim[-1, 1] + 4.0]])
    at = int(np.argmax(rim[:, 0]))
    tip = (float(rim[at, 0]), float(rim[at, 1] + rng.normal(0.0, 2.0)))
    return outline, Projection("CC", tip, float(rng.normal(0.0, 0.03)), 0.0)


def _mlo(breast: Breast, plate: Plate, rng: np.random.Generator) -> tuple[NDArray[np.float64], Projection]:
    """Return the outline and projection of an MLO: axilla, drooping breast, inframammary fold, abdomen."""
    height, width = plate.rows * plate.spacing, plate.columns * plate.spacing
    tilt = np.deg2rad(breast.droop)
    reach = min(breast.depth * np.cos(tilt) * rng.normal(1.02, 0.02) + 6.0, 0.92 * width - breast.nipple)
    lower = min(breast.inferior, 0.36 * height)
    fold = float(np.clip(breast.fold + rng.normal(0.0, 0.008), 0.78, 0.99)) * height
    level = fold - lower + rng.normal(0.0, 2.0)
    top = min(breast.axilla, 0.8 * reach)
    shoulder = top + (reach - top) * rng.uniform(0.0, 0.12)
    inlet = rng.uniform(2.0, 9.0)
    knots = np.array(
        [
            [top + rng.uniform(-4, 12), -0.10 * height],
            [top, 0.12 * level],
            [shoulder, 0.40 * level],
            [top + (reach - top) * rng.uniform(0.50, 0.62), 0.66 * level],
            [top + (reach - top) * rng.uniform(0.90, 0.95), 0.87 * level],
            [reach, level + 0.06 * lower],
            [reach * 0.93, level + 0.42 * lower],
            [reach * 0.75, level + 0.76 * lower],
            [reach * 0.50, level + 0.97 * lower],
            [reach * 0.26, level + lower * rng.uniform(1.02, 1.07)],
            [inlet + 0.06 * reach, fold + lower * rng.uniform(0.06, 0.12)],
            [inlet * rng.uniform(0.4, 0.8), fold + lower * 0.34],
            [inlet * rng.uniform(0.6, 1.5), 1.20 * height],
        ]
    )
    knots[1:-3, 0] += rng.normal(0.0, 0.8, len(knots) - 4)
    curve = smooth_curve(knots)
    outline = np.vstack([[-30.0, curve[0, 1]], curve, [-30.0, curve[-1, 1]]])
    at = int(np.argmin(np.abs(curve[: 7 * 24, 1] - (level + 0.05 * lower)) + 5.0 * (curve[: 7 * 24, 0] < 0.8 * reach)))
    tip = (float(curve[at, 0]), float(curve[at, 1]))
    return outline, Projection("MLO", tip, float(tilt), float(np.deg2rad(breast.tube_angle)))


def _nipple(breast: Breast, projection: Projection, plate: Plate, rng: np.random.Generator) -> Field:
    """Return the nipple in profile: a rounded peg on the outline, sometimes rolled a little to one side."""
    roll = projection.tilt + rng.normal(0.0, 0.12)
    out = breast.nipple * rng.uniform(0.1, 0.95)
    cos, sin = np.cos(roll), np.sin(roll)
    angle = np.linspace(-np.pi / 2, np.pi / 2, 25)
    along = np.concatenate([[-6.0], out + 0.5 * breast.nipple * np.cos(angle) - 0.5 * breast.nipple, [-6.0]])
    side = np.concatenate([[-1.15], np.sin(angle), [1.15]]) * breast.nipple
    x = projection.nipple[0] + along * cos - side * sin
    y = projection.nipple[1] + along * sin + side * cos
    return np.asarray(cv2.GaussianBlur(_fill(np.stack([x, y], axis=1), plate), (0, 0), 0.7), np.float32)


def _pectoral(breast: Breast, view: View, plate: Plate, x: Field, y: Field, rng: np.random.Generator) -> Field:
    """Return the share of the thickness that is muscle: a triangle in MLO, now and then a sliver in CC."""
    height = plate.rows * plate.spacing
    bow = rng.normal(0.0, 4.0)
    if view == "CC":
        if rng.random() > 0.25:
            return np.zeros_like(x)
        middle, half = height * rng.uniform(0.42, 0.58), rng.uniform(18.0, 40.0)
        edge = rng.uniform(3.0, 10.0) * (1.0 - np.square((y - np.float32(middle)) / np.float32(half)))
        return np.float32(0.12) * smoothstep(edge - x, -1.0, 5.0)
    width = breast.pectoral_width * rng.normal(1.0, 0.08)
    end = float(np.clip(breast.pectoral_length * rng.normal(1.0, 0.06), 0.6, 1.2)) * 0.62 * height
    t = y / np.float32(end)
    edge = np.float32(width) * (1.0 - t) + np.float32(bow) * np.sin(np.float32(np.pi) * t) * (t < 1)
    return np.float32(0.17) * smoothstep(edge - x, -1.0, 0.28 * width) ** np.float32(0.5)
