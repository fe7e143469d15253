"""From tissue on the ray to the picture a radiologist is shown: attenuation, scatter, noise, tone."""

import cv2
import numpy as np

from mammo_core.phantom.geometry import Geometry
from mammo_core.phantom.texture import Field
from mammo_core.phantom.tissue import Tissue

FAT_PER_MM = 0.0456
GLAND_PER_MM = 0.0802
TUMOUR_PER_MM = 0.0844
"""Linear attenuation at 20 keV of fat, fibroglandular tissue and infiltrating duct carcinoma (Johns and Yaffe,
Phys Med Biol 32:675, 1987)."""
CALCIUM_PER_MM = 1.1
"""Of a calcification, hydroxyapatite with tissue between: about 20 times gland."""


def attenuation(tissue: Tissue, mass: Field, calcium: Field) -> Field:
    """Return the line integral of attenuation, float32 (H, W); ``mass`` and ``calcium`` in mm replace tissue."""
    contrast = np.float32(GLAND_PER_MM - FAT_PER_MM)
    local = np.float32(FAT_PER_MM) + contrast * tissue.gland
    total = local * tissue.thickness + contrast * (tissue.fibrous + tissue.muscle * (1.0 - tissue.gland))
    total = total + (np.float32(TUMOUR_PER_MM) - local) * mass + np.float32(CALCIUM_PER_MM) * calcium
    return np.asarray(total, np.float32)


def detect(total: Field, inside: Field, spacing: float, quanta_per_mm2: float, rng: np.random.Generator) -> Field:
    """Return minus the logarithm of the detected signal: with scatter, blur and quantum noise.

    Scatter is the primary image blurred by 15 mm, a quarter of it (behind a grid); the noise of a signal of n
    quanta has deviation sqrt(n), so dense tissue is noisier.
    """
    middle = float(total[inside > 0.5].mean())
    primary = np.exp(np.float32(middle) - total)
    small = cv2.resize(primary, None, fx=0.125, fy=0.125, interpolation=cv2.INTER_AREA)
    veil = cv2.GaussianBlur(np.minimum(small, 1.4), (0, 0), max(1.0, 15.0 / spacing / 8))
    scatter = cv2.resize(veil, (total.shape[1], total.shape[0]), interpolation=cv2.INTER_LINEAR)
    signal = cv2.GaussianBlur(primary, (0, 0), max(0.3, 0.08 / spacing)) + np.float32(0.25) * scatter
    quanta = signal * np.float32(quanta_per_mm2 * spacing**2)
    noise = rng.standard_normal(total.shape, dtype=np.float32) / np.sqrt(quanta)
    return np.asarray(np.float32(middle) - np.log(signal) - noise, np.float32)


def present(log_signal: Field, geometry: Geometry) -> Field:
    """Return the picture For Presentation: float32 (H, W) in [0, 1], background 0.

    Peripheral equalisation takes out the fat's share of the thickness; then a tone curve with a soft shoulder.
    """
    fat = np.float32(FAT_PER_MM * 0.86) * geometry.thickness
    excess = (log_signal - fat) / np.float32(GLAND_PER_MM - FAT_PER_MM)
    body = excess[(geometry.skin > 3.0) & (geometry.pectoral < 1.0)]
    if body.size < 64:
        body = excess[geometry.inside > 0.5]
    low, high = (float(q) for q in np.quantile(body[:: max(1, body.size // 20000)], (0.05, 0.985)))
    span = max(high - low, 11.0)
    t = (excess - np.float32(low)) / np.float32(span)
    bright = np.where(t > 0.75, 0.75 + 0.45 * np.tanh((t - 0.75) / 0.45), t)
    tone = np.float32(0.40) + np.float32(0.44) * bright
    return np.asarray(np.clip(tone, 0.02, 1.0) * geometry.inside, np.float32)
