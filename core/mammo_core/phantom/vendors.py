"""Five invented makers of mammography units, as different in their files as real ones are.

Each turns the same picture into its own stored values, so that its first VOI choice shows the picture again.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mammo_core.mammogram import PHANTOM_MANUFACTURER, Hanging, Laterality, Voi, VoiLut, Window
from mammo_core.phantom.geometry import Plate, View
from mammo_core.phantom.texture import Field

Storage = Literal["hung", "chest wall left", "upside down", "mirrored"]
Scale = Literal["windows", "one window", "sigmoid", "lut"]


@dataclass(frozen=True)
class Vendor:
    """One maker's detector and file format."""

    letter: str
    rows: int
    columns: int
    spacing: float
    """Distance between pixel centres at full resolution, mm."""
    photometric: Literal["MONOCHROME1", "MONOCHROME2"]
    bits: int
    scale: Scale
    syntax: str
    """Transfer syntax UID."""
    storage: Storage
    padding: bool
    """Whether the background is declared as Pixel Padding Value."""

    @property
    def manufacturer(self) -> str:
        """Manufacturer (0008,0070)."""
        return f"{PHANTOM_MANUFACTURER} {self.letter}"

    def plate(self, height: int) -> Plate:
        """Return the detector with ``height`` rows: the same size in mm in coarser or finer pixels."""
        return Plate(height, round(height * self.columns / self.rows), self.rows * self.spacing / height)

    @property
    def background(self) -> int:
        """Stored value of the background and of padding: black, whatever the photometric interpretation."""
        return (1 << self.bits) - 1 if self.photometric == "MONOCHROME1" else 0


EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
JPEG_LS_LOSSLESS = "1.2.840.10008.1.2.4.80"
JPEG_2000_LOSSLESS = "1.2.840.10008.1.2.4.90"
RLE_LOSSLESS = "1.2.840.10008.1.2.5"

VENDORS = (
    Vendor("A", 3328, 2560, 0.070, "MONOCHROME2", 12, "windows", JPEG_LOSSLESS, "hung", True),
    Vendor("B", 2850, 2394, 0.085, "MONOCHROME2", 12, "sigmoid", JPEG_2000_LOSSLESS, "hung", False),
    Vendor("C", 3518, 2800, 0.070, "MONOCHROME1", 12, "lut", RLE_LOSSLESS, "chest wall left", True),
    Vendor("D", 4728, 3540, 0.050, "MONOCHROME1", 10, "windows", JPEG_LS_LOSSLESS, "upside down", False),
    Vendor("E", 2816, 2016, 0.085, "MONOCHROME2", 14, "one window", EXPLICIT_LITTLE_ENDIAN, "mirrored", True),
)
LUT_POWER = 1.6


def encode(vendor: Vendor, picture: Field, inside: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """Return the stored values of ``picture`` (float32 (H, W) in [0, 1]), uint16 (H, W); ``background`` outside."""
    shown = 1.0 - picture if vendor.photometric == "MONOCHROME1" else picture
    top = float((1 << vendor.bits) - 1)
    if vendor.scale == "sigmoid":
        odds = np.clip(shown, 0.006, 0.994)
        values = 0.5 * top + 0.25 * _sigmoid_width(vendor) * np.log(odds / (1.0 - odds))
    elif vendor.scale == "lut":
        values = top * shown ** np.float32(1 / LUT_POWER)
    else:
        low, high = _ends(vendor)
        values = low + (high - low) * shown
    stored = np.clip(np.rint(values), 1, top - 1).astype(np.uint16)
    stored[~inside] = vendor.background
    return stored


def vois(vendor: Vendor) -> tuple[Voi, ...]:
    """Return the VOI choices of every file of ``vendor``; the first shows the picture as it was drawn."""
    top = (1 << vendor.bits) - 1
    if vendor.scale == "sigmoid":
        width = _sigmoid_width(vendor)
        return (
            Window(0.5 * top, width, "SIGMOID", "NORMAL"),
            Window(0.55 * top, 0.75 * width, "SIGMOID", "HARDER"),
            Window(0.45 * top, 1.3 * width, "SIGMOID", "SOFTER"),
        )
    if vendor.scale == "lut":
        ramp = np.arange(top + 1) / top
        curves = ((LUT_POWER, "STANDARD"), (LUT_POWER * 1.3, "HIGH CONTRAST"))
        return tuple(VoiLut.of(0, np.rint(top * ramp**power), vendor.bits, name) for power, name in curves)
    low, high = _ends(vendor)
    normal = Window((low + high + 1) / 2, float(high - low + 1), "LINEAR", "USER" if vendor.bits > 12 else "NORMAL")
    if vendor.scale == "one window":
        return (normal,)
    span = high - low
    return (
        normal,
        Window(low + 0.62 * span, round(0.7 * span), "LINEAR", "HARDER"),
        Window(low + 0.5 * span, round(1.25 * span), "LINEAR", "SOFTER"),
    )


def _sigmoid_width(vendor: Vendor) -> float:
    """Return the width of the sigmoid window: its tails at 0.6 % reach the ends of the stored range."""
    return float(round(0.38 * (1 << vendor.bits)))


def _ends(vendor: Vendor) -> tuple[int, int]:
    """Return the stored values that the first linear window shows black and white; the range's ends stay free."""
    top = (1 << vendor.bits) - 1
    return round(0.04 * top), round(0.96 * top)


def flips(storage: Storage, laterality: Laterality) -> tuple[bool, bool]:
    """Return whether a hung picture is flipped left to right, and top to bottom, to be stored."""
    if storage == "upside down":
        return False, True
    if storage == "mirrored":
        return True, False
    return storage == "chest wall left" and laterality == "R", False


def patient_orientation(storage: Storage, laterality: Laterality, view: View) -> tuple[str, str]:
    """Return Patient Orientation (0020,0020) as stored: where the rows and the columns run to (PS3.3 C.7.6.1.1.1).

    Hung, a right breast's rows run to P and a left one's to A; columns run to the other side of the body, in MLO
    also to the feet. A flip reverses one direction.
    """
    opposite = {"P": "A", "A": "P", "L": "R", "R": "L", "FL": "HR", "FR": "HL"}
    row = "P" if laterality == "R" else "A"
    column = ("F" if view == "MLO" else "") + ("L" if laterality == "R" else "R")
    horizontal, vertical = flips(storage, laterality)
    return opposite[row] if horizontal else row, opposite[column] if vertical else column


def hanging(storage: Storage, laterality: Laterality, view: View) -> Hanging:
    """Return how stored pixels are turned to hang: the same flips again."""
    horizontal, vertical = flips(storage, laterality)
    text = "\\".join(patient_orientation(storage, laterality, view))
    return Hanging(False, horizontal, vertical, f"Patient Orientation (0020,0020) {text}")
