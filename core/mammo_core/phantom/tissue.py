"""What lies on each ray of one view: fat, gland, muscle, skin, strands, vessels, in mm of tissue."""

from dataclasses import dataclass

import cv2
import numpy as np

from mammo_core.phantom.anatomy import Breast
from mammo_core.phantom.curves import Curve, trace
from mammo_core.phantom.geometry import Geometry, Plate
from mammo_core.phantom.gland import Gland, on_picture, shadow
from mammo_core.phantom.texture import Field, power_law, smoothstep
from mammo_core.phantom.tiles import TILE, TILE_MM, Tiles, sample


@dataclass(frozen=True)
class Tissue:
    """Ray lengths of one view without its lesions, float32 (rows, columns)."""

    thickness: Field
    """Breast on the ray, mm."""
    gland: Field
    """Share of the ray that is fibroglandular, 0 to 1."""
    fibrous: Field
    """Skin, strands, ducts and vessels on the ray, mm of tissue that attenuates like gland."""
    muscle: Field
    """Pectoral muscle on the ray, mm."""


def draw_tissue(
    breast: Breast,
    gland: Gland,
    curves: tuple[Curve, ...],
    tiles: Tiles,
    geometry: Geometry,
    rng: np.random.Generator,
) -> Tissue:
    """Draw the tissue of one view; ``rng`` gives the detail that no other view shows."""
    plate = geometry.plate
    bend_a, bend_b = _bends(plate, rng)
    start = (float(rng.uniform(0, TILE)), float(rng.uniform(0, TILE)))
    depth = geometry.depth + np.float32(2.6) * bend_a
    across = geometry.across + np.float32(2.6) * bend_b
    mean = on_picture(shadow(gland, geometry.projection), depth, across)
    lining = _lining(breast, geometry, bend_a)
    row, column = _fan(geometry, bend_a, bend_b)
    net = sample(tiles.net, row, column, start)
    streak = sample(tiles.streak, row, column * np.float32(0.5), start)
    per_mm = np.float32(1 / TILE_MM)
    lobule = sample(tiles.lobule, (across * per_mm).astype(np.float32), (depth * per_mm).astype(np.float32), start)
    fine, cloud = (_cut(field, plate, rng) for field in (tiles.fine, tiles.cloud))
    amount = np.float32(1.1 - 0.6 * breast.gland_share)
    detail = 1.0 + amount * (0.17 * fine + 0.12 * streak + 0.42 * (net - 0.25) - 0.34 * lobule)
    share = mean * lining * np.clip(detail, 0.1, 2.0)
    # Fat is never without some fibroglandular strands and haze.
    share += np.float32(0.018) * np.maximum(1.0 + 0.8 * cloud + 0.8 * streak, 0.0) * smoothstep(geometry.skin, 1.5, 9.0)
    fibrous = _fibrous(breast, geometry, curves, net, mean, lining) + _skin(geometry, breast)
    muscle = _muscle(geometry, tiles, start)
    return Tissue(geometry.thickness, np.clip(share, 0.0, 0.98), fibrous, muscle)


def _bends(plate: Plate, rng: np.random.Generator) -> tuple[Field, Field]:
    """Return two smooth fields, deviation 1, that bend coordinates so that nothing follows a grid."""
    shrink = max(1, round(1.0 / plate.spacing))
    small = (max(16, plate.rows // shrink), max(16, plate.columns // shrink))
    pair = power_law(rng, small, 4.6, lowest=shrink * plate.spacing / 38.0)
    size = (plate.columns, plate.rows)
    first, second = (np.asarray(cv2.resize(f, size, interpolation=cv2.INTER_CUBIC), np.float32) for f in pair)
    return first, second


def _cut(field: Field, plate: Plate, rng: np.random.Generator) -> Field:
    """Return a part of a periodic picture-sized field, from a random start."""
    moved = np.roll(field, (int(rng.integers(field.shape[0])), int(rng.integers(field.shape[1]))), (0, 1))
    return moved[: plate.rows, : plate.columns]


def _lining(breast: Breast, geometry: Geometry, bend: Field) -> Field:
    """Return 0 in the fat under the skin and 1 deeper; the border is scalloped; near the nipple there is no fat."""
    to_nipple = np.sqrt(geometry.depth**2 + geometry.across**2)
    layer = np.float32(breast.subcutaneous) * smoothstep(to_nipple, 8.0, 32.0)
    border = layer * (0.72 + 0.30 * bend)
    deep = smoothstep(geometry.skin - border, -1.5, 3.5)
    return np.asarray(deep * (1.0 - np.clip(geometry.pectoral / 25.0, 0.0, 0.75)), np.float32)


def _fan(geometry: Geometry, bend_a: Field, bend_b: Field) -> tuple[Field, Field]:
    """Return tile row and column of every pixel: columns run along rays from a point ahead of the nipple."""
    ahead = geometry.depth + np.float32(46.0)
    row = geometry.across / np.maximum(ahead, 20.0) * np.float32(105.0) + np.float32(3.0) * bend_a
    column = ahead + np.float32(3.0) * bend_b
    return (row / TILE_MM).astype(np.float32), (column / TILE_MM).astype(np.float32)


def _fibrous(
    breast: Breast, geometry: Geometry, curves: tuple[Curve, ...], net: Field, mean: Field, lining: Field
) -> Field:
    """Return strands, ligaments, ducts and vessels in mm; dense breasts are more fibrous altogether."""
    plate, projection = geometry.plate, geometry.projection
    more = np.float32(1.0 + 1.5 * breast.gland_share)
    drawn = net * (0.8 + 0.7 * np.sqrt(mean)) + trace(curves, projection, plate, ("ligament", "duct"))
    vessels = trace(curves, projection, plate, ("vessel",)) * smoothstep(geometry.skin, 2.0, 6.0)
    return (more * (0.5 + 0.5 * lining) * drawn + vessels) * geometry.inside


def _skin(geometry: Geometry, breast: Breast) -> Field:
    """Return the skin on the ray in mm: 1.3 to 2 mm thick, met lengthwise along the rim, thickest at the areola."""
    to_nipple = np.square(geometry.depth) + np.square(geometry.across)
    thick = 1.0 + 0.8 * np.exp(-to_nipple / np.float32((3.2 * breast.nipple) ** 2))
    rim = np.exp(-np.square(np.maximum(geometry.skin / thick - 0.4, 0.0) / np.float32(0.55)))
    peg = np.float32(0.85) * geometry.nipple * smoothstep(-geometry.depth, -3.5, 2.0)
    most = np.float32(4.2 + 4.5 * breast.gland_share)
    return np.asarray(most * np.maximum(rim * thick, peg) * geometry.inside, np.float32)


def _muscle(geometry: Geometry, tiles: Tiles, start: tuple[float, float]) -> Field:
    """Return the pectoral muscle with its bundles of fibres, which run along its free edge."""
    plate = geometry.plate
    if not geometry.pectoral.any():
        return geometry.pectoral
    x = (np.arange(plate.columns, dtype=np.float32) * np.float32(plate.spacing / TILE_MM))[None, :]
    y = (np.arange(plate.rows, dtype=np.float32) * np.float32(plate.spacing / TILE_MM))[:, None]
    along, side = np.float32(0.95) * y - np.float32(0.3) * x, np.float32(0.95) * x + np.float32(0.3) * y
    return geometry.pectoral * (1.0 + np.float32(0.06) * sample(tiles.fibre, side, along, start))
