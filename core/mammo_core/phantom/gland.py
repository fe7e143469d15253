"""Fibroglandular tissue as a coarse volume, so that CC and MLO are shadows of one breast.

The volume has isotropic voxels in breast coordinates (see anatomy.py). Detail finer than a voxel is added per
view (see tissue.py): no reader could match it between two compressions.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from mammo_core.phantom.anatomy import Breast
from mammo_core.phantom.geometry import Projection
from mammo_core.phantom.texture import Field, power_law, smoothstep

VOXEL_MM = 2.0
DEEP, WIDE = 80, 108
"""Voxels along ``d`` and along each of ``l`` and ``h``."""


@dataclass(frozen=True)
class Gland:
    """Volume fraction of fibroglandular tissue, float32 (h, l, d) in [0, 1].

    Voxel (i, j, k) is centred on ``h = (i - WIDE / 2 + 0.5) * VOXEL_MM``, ``l`` likewise, ``d = (k + 0.5) * VOXEL_MM``.
    """

    fraction: Field


def draw_glands(
    breasts: tuple[Breast, Breast], beta: float, symmetry: float, rng: np.random.Generator
) -> tuple[Gland, Gland]:
    """Draw both breasts' glands from two fields a, b as ``p a + q b`` and ``p a - q b``: correlation p^2 - q^2."""
    common, own = power_law(rng, (WIDE, WIDE, DEEP), beta, lowest=1 / 70)
    p, q = np.float32(np.sqrt((1 + symmetry) / 2)), np.float32(np.sqrt((1 - symmetry) / 2))
    right, left = breasts
    offset = rng.normal(0.0, 1.0, 3)
    return _gland(right, p * common + q * own, offset), _gland(left, p * common - q * own, offset)


def _gland(breast: Breast, noise: Field, offset: np.ndarray) -> Gland:
    """Cut the gland out of ``noise``: a disc behind the nipple, fuller towards the upper outer quadrant."""
    side = (np.arange(WIDE, dtype=np.float32) - WIDE / 2 + 0.5) * np.float32(VOXEL_MM)
    above, lateral = side[:, None, None], side[None, :, None]
    depth = ((np.arange(DEEP, dtype=np.float32) + 0.5) * np.float32(VOXEL_MM))[None, None, :]
    spread = np.float32(0.55 + 0.55 * breast.gland_share)
    half_depth = np.float32(breast.depth * (0.36 + 0.20 * breast.gland_share))
    middle = np.float32(breast.subcutaneous * 0.6) + half_depth
    across_l = (lateral - np.float32(0.10 * breast.lateral + 3 * offset[0])) / np.float32(breast.lateral * spread)
    across_h = (above - np.float32(0.08 * breast.superior + 3 * offset[1])) / np.float32(
        0.5 * (breast.superior + breast.inferior) * spread
    )
    # The gland narrows to the nipple like a fan: the radius grows with depth and closes at the back.
    along = (depth - middle) / half_depth
    radius = np.sqrt(across_l**2 + across_h**2) / np.clip(0.55 + 0.5 * (depth / half_depth), 0.4, 1.0)
    envelope = 1.0 - np.sqrt(radius**2 + np.maximum(along, 0) ** 2 + np.minimum(along, 0) ** 4)
    # More noise than envelope in fatty breasts: islands; more envelope in dense ones: one disc.
    field = envelope * np.float32(1.6) + noise * np.float32(0.56 - 0.18 * breast.gland_share)
    near = envelope > -0.15
    level = float(np.quantile(field[near], 1.0 - _volume_share(breast.gland_share)))
    soft = 0.16
    return Gland(smoothstep(field, level - 1.2 * soft, level + 3.0 * soft) * np.float32(breast.gland_weight))


def _volume_share(area_share: float) -> float:
    """Return the share of the envelope's volume whose shadow fills about ``area_share`` of the breast."""
    return float(np.clip(area_share**1.35, 0.03, 0.92))


def shadow(gland: Gland, projection: Projection) -> Field:
    """Return the mean fraction along the ray, float32 (WIDE, DEEP): row ``across``, column ``d``, voxels as in Gland.

    The mean is over the breast's height that the gland can fill, so 1 is a ray through nothing but gland.
    """
    if projection.tube == 0.0:
        mean = gland.fraction.sum(axis=0)
    else:
        mean = _turned(gland.fraction, projection.tube).sum(axis=1)
    return np.asarray(mean / np.float32(0.42 * WIDE), np.float32)


def _turned(volume: Field, tube: float) -> Field:
    """Turn the volume about the depth axis: rows become ``h sin t + l cos t``, columns the ray's own direction."""
    side = np.arange(WIDE, dtype=np.float32) - np.float32(WIDE / 2 - 0.5)
    across, ray = np.meshgrid(side, side, indexing="ij")
    h = across * np.float32(np.sin(tube)) - ray * np.float32(np.cos(tube))
    lateral = across * np.float32(np.cos(tube)) + ray * np.float32(np.sin(tube))
    i = np.rint(h + (WIDE / 2 - 0.5)).astype(np.int32)
    j = np.rint(lateral + (WIDE / 2 - 0.5)).astype(np.int32)
    outside = (i < 0) | (i >= WIDE) | (j < 0) | (j >= WIDE)
    turned: Field = volume[i.clip(0, WIDE - 1), j.clip(0, WIDE - 1)]
    turned[outside] = 0.0
    return turned


def on_picture(mean: Field, depth: Field, across: Field) -> Field:
    """Sample a shadow at breast coordinates in mm (float32 (H, W) each), bicubic, clipped to [0, 1]."""
    column = depth / np.float32(VOXEL_MM) - np.float32(0.5)
    row = across / np.float32(VOXEL_MM) + np.float32(WIDE / 2 - 0.5)
    sampled = cv2.remap(mean, column, row, cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    return np.clip(np.asarray(sampled, np.float32), 0.0, 1.0)
