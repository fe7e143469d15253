"""Periodic textures that the four views of an exam share, each view from its own random start.

Drawing them once per exam instead of once per view halves the time of an exam.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from mammo_core.phantom.geometry import Plate
from mammo_core.phantom.texture import Field, band, power_law, smoothstep, strands

TILE, TILE_MM = 768, 0.28
"""Samples along each side of a tile, and the size of a sample in mm."""
CLOUD_MM = 24.0
"""Above this wavelength tissue texture belongs to the gland's volume, which both views share."""


@dataclass(frozen=True)
class Tiles:
    """Textures, float32: ``fine`` and ``cloud`` have a picture's size, the others are (TILE, TILE)."""

    net: Field
    """Thin curved strands along rows, 0 to about 1.5."""
    streak: Field
    """Power law, deviation 1."""
    lobule: Field
    """Fat lobules: 1 in the middle of one, 0 in gland, slightly negative in the septa between."""
    fibre: Field
    """Bundles along rows, deviation 1."""
    fine: Field
    cloud: Field
    """Two independent power laws in the picture's own pixels, deviation 1."""


def draw_tiles(plate: Plate, beta: float, rng: np.random.Generator) -> Tiles:
    """Draw the textures of one exam."""
    lobes, size = band(rng, (TILE, TILE), 15.0 / TILE_MM, stretch=1.25)
    lobes = lobes + np.float32(0.35) * size
    fine, cloud = power_law(rng, (plate.rows, plate.columns), beta, lowest=plate.spacing / CLOUD_MM)
    return Tiles(
        net=_net(rng),
        streak=power_law(rng, (TILE, TILE), beta, lowest=TILE_MM / 16.0)[0],
        lobule=smoothstep(lobes, 0.45, 1.7) - np.float32(0.6) * strands(lobes - np.float32(0.35), 0.12),
        fibre=band(rng, (TILE, TILE), 6.0 / TILE_MM, stretch=8.0)[0],
        fine=fine,
        cloud=cloud,
    )


def _net(rng: np.random.Generator) -> Field:
    """Weave strands of several thicknesses; where there are coarse ones there are fewer fine ones."""
    shape = (TILE, TILE)
    coarse, fine = band(rng, shape, 9.0 / TILE_MM, stretch=2.4)
    middle, finest = band(rng, shape, 4.6 / TILE_MM, stretch=2.3)
    some = np.tanh(band(rng, shape, 26.0 / TILE_MM, stretch=1.4)[0])
    net = (
        np.float32(0.85) * strands(coarse, 0.13) * (0.75 + 0.5 * some)
        + np.float32(0.55) * strands(fine, 0.11) * (0.75 - 0.5 * some)
        + np.float32(0.65) * strands(middle, 0.19) * (0.6 - 0.4 * some)
        + np.float32(0.40) * strands(finest, 0.16) * (0.6 + 0.4 * some)
    )
    return np.asarray(net, np.float32)


def sample(tile: Field, row: Field, column: Field, start: tuple[float, float]) -> Field:
    """Return ``tile`` at (row, column) from ``start`` on, in samples, bilinear, repeating."""
    x, y = column + np.float32(start[1]), row + np.float32(start[0])
    return np.asarray(cv2.remap(tile, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP), np.float32)
