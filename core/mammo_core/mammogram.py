"""One mammogram: its pixels, what its header said, and every decision taken on the way.

Knows nothing of DICOM files, of studies or of models.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammo_core.low_band import low_band

Laterality = Literal["L", "R"]
VoiFunction = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]

SEGMENTATION_SIZE = 512
"""Samples along the longer side at which the breast is told from air: enough for a box, cheap on any
image."""


@dataclass(frozen=True)
class Window:
    """A VOI window in modality units (DICOM PS3.3 C.11.2.1.2)."""

    center: float
    width: float
    function: VoiFunction
    explanation: str
    """Window Center & Width Explanation (0028,1055), or what stands in for it, such as "full range"."""


@dataclass(frozen=True)
class VoiLut:
    """An item of VOI LUT Sequence, PS3.3 C.11.2.1.1: ``values[i]`` shows modality value ``first + i``."""

    first: int
    entries: bytes
    """uint16, little-endian: a table of 65,536 Python integers would weigh megabytes."""
    bits: int
    """Bits of each entry: an entry of ``2**bits - 1`` is shown white."""
    explanation: str

    @classmethod
    def of(cls, first: int, values: ArrayLike, bits: int, explanation: str) -> "VoiLut":
        """The table with these entries, each from 0 to 65,535."""
        return cls(first, np.asarray(values, dtype="<u2").tobytes(), bits, explanation)

    @property
    def values(self) -> NDArray[np.uint16]:
        """The entries: uint16 ``(N,)``, read-only."""
        return np.frombuffer(self.entries, dtype="<u2")


Voi = Window | VoiLut


def voi_in_words(voi: Voi) -> str:
    """Name a VOI choice: what it does, its numbers, and what the file calls it."""
    if isinstance(voi, Window):
        return f"{voi.function} window {voi.center:g}/{voi.width:g} ({voi.explanation})"
    return f"VOI LUT of {len(voi.values)} entries ({voi.explanation})"


PHANTOM_MANUFACTURER = "mammo-gui phantom"
"""How Manufacturer (0008,0070) begins in the synthetic exams that this project makes."""


@dataclass(frozen=True)
class Spacing:
    """Distance between pixel centres in mm, and which DICOM attribute said so (PS3.3 10.7.1.1)."""

    row_mm: float
    column_mm: float
    source: str
    """For example "Imager Pixel Spacing (0018,1164), at the detector" or "Pixel Spacing (0028,0030),
    calibrated"."""


@dataclass(frozen=True)
class Hanging:
    """How stored pixels are turned for display: first ``transpose``, then the flips.

    Hung means as a radiologist hangs it: a right breast with its chest wall on the right of its picture, a
    left breast with its chest wall on the left; the axillary or lateral side up.
    """

    transpose: bool
    flip_horizontal: bool
    flip_vertical: bool
    source: str
    """For example "Patient Orientation (0020,0020) A\\\\FR" or "side of the tissue"."""


@dataclass(frozen=True)
class Header:
    """What is known of one image besides its pixels. Text is raw: escape it before it reaches HTML.

    Sizes, padding and crop are in the file's own pixels, at full resolution and as stored.
    """

    file: str
    """Name shown to the user: the path as given, or ``archive.zip/inner/name``."""
    sha256: str
    """Content hash of the file, lower-case hex: the identity of the image everywhere."""
    study_uid: str
    study_uid_source: str
    series_uid: str
    sop_uid: str
    patient_id: str
    study_date: str
    """``YYYYMMDD`` or empty."""
    manufacturer: str
    manufacturer_model: str
    patient_age: str
    laterality: Laterality | None
    laterality_source: str
    view: str | None
    """View code of CID 4014 as written on a film: "CC", "MLO", "ML", "LM", "LMO", "AT", "XCCL", ..."""
    view_source: str
    view_modifiers: tuple[str, ...]
    """Names of CID 4015 modifiers, such as "Spot Compression", "Magnification", "Implant Displaced"."""
    rows: int
    columns: int
    bits_stored: int
    transfer_syntax: str
    photometric: Literal["MONOCHROME1", "MONOCHROME2"]
    stored_offset: int
    """``stored value = pixel + stored_offset``: 0, or -32768 (-128 for 8 bits) where the file's values are
    signed."""
    slope: float
    intercept: float
    """``modality value = slope * pixel + intercept`` where ``pixel`` is the unsigned value in
    ``Mammogram.pixels``."""
    padding: tuple[int, int] | None
    """Inclusive range of unsigned pixel values that are padding (PS3.3 C.7.5.1.1.2), or None."""
    vois: tuple[Voi, ...]
    """The choices that the file offers, in its order; never empty (the full range where the file has
    none)."""
    spacing: Spacing | None
    hanging: Hanging
    breast_box: tuple[int, int, int, int]
    """Box around the breast as ``(y0, x0, y1, x1)``, half-open, in the file's pixels."""
    warnings: tuple[str, ...]
    """Sentences for the user: contradictions, unsuitable views, what was assumed."""
    patient_orientation: tuple[str, ...] = ()
    """Values of Patient Orientation (0020,0020): where rows and columns of the stored picture run to; () if
    absent."""
    tissue_side: Literal["left", "right"] | None = None
    """Side of the stored picture on which the chest wall was seen; None where unclear."""

    @property
    def phantom(self) -> bool:
        """Whether this is one of the project's own synthetic images."""
        return self.manufacturer.startswith(PHANTOM_MANUFACTURER)


@dataclass(frozen=True)
class Mammogram:
    """A decoded image.

    ``pixels`` is uint16 ``(H, W)``, unsigned stored values in the file's own orientation, not inverted, at
    ``1 / reduction`` of the file's resolution: ``H = ceil(rows / reduction)``. With ``reduction > 1`` sample
    ``(i, j)`` is centred on full-resolution pixel ``(i * reduction, j * reduction)`` (the JPEG 2000 low band,
    ISO/IEC 15444-1 Annex F), not on the middle of the block that it stands for.
    """

    header: Header
    pixels: NDArray[np.uint16]
    reduction: int = 1


def reduced(mammogram: Mammogram, halvings: int) -> Mammogram:
    """The mammogram at ``1 / 2**halvings`` of its file's resolution; as it is where it is that small already."""
    missing = halvings - (mammogram.reduction.bit_length() - 1)
    if missing <= 0:
        return mammogram
    highest = 65535 if mammogram.header.stored_offset else (1 << mammogram.header.bits_stored) - 1
    return replace(mammogram, pixels=low_band(mammogram.pixels, missing, highest), reduction=1 << halvings)


def voi_table(header: Header, voi: Voi | None = None) -> NDArray[np.float32]:
    """What every unsigned pixel value shows as: float32 ``(65536,)`` in [0, 1], MONOCHROME2, padding 0.

    Modality LUT, then VOI, then inversion for MONOCHROME1: the order of PS3.4 N.2. ``voi`` None means the
    file's first choice.
    """
    chosen = header.vois[0] if voi is None else voi
    modality = header.slope * np.arange(65536, dtype=np.float64) + header.intercept
    shown = _windowed(modality, chosen) if isinstance(chosen, Window) else _looked_up(modality, chosen)
    if header.photometric == "MONOCHROME1":
        shown = 1.0 - shown
    if header.padding is not None:
        low, high = header.padding
        shown[max(low, 0) : high + 1] = 0.0
    return shown.astype(np.float32)


def display_pixels(mammogram: Mammogram, voi: Voi | None = None) -> NDArray[np.float32]:
    """The image as seen: float32 ``(H, W)`` in [0, 1], MONOCHROME2, padding 0, orientation as stored."""
    table = voi_table(mammogram.header, voi)
    return np.asarray(cv2.LUT(mammogram.pixels, table), dtype=np.float32)


def _windowed(x: NDArray[np.float64], window: Window) -> NDArray[np.float64]:
    """PS3.3 C.11.2.1.2.1 (LINEAR), C.11.2.1.3.1 (SIGMOID) and C.11.2.1.3.2 (LINEAR_EXACT), onto [0, 1]."""
    center, width = window.center, window.width
    if window.function == "SIGMOID":
        exponent = np.clip(-4.0 * (x - center) / width, -700.0, 700.0)
        return np.asarray(1.0 / (1.0 + np.exp(exponent)))
    if window.function == "LINEAR_EXACT":
        return np.asarray(np.clip((x - center) / width + 0.5, 0.0, 1.0))
    if width == 1.0:  # the ramp has no length: the standard's two comparisons meet at center - 0.5
        return np.asarray(x > center - 0.5, dtype=np.float64)
    return np.asarray(np.clip((x - (center - 0.5)) / (width - 1.0) + 0.5, 0.0, 1.0))


def _looked_up(x: NDArray[np.float64], lut: VoiLut) -> NDArray[np.float64]:
    """PS3.3 C.11.2.1.1: values before the first entry show the first, values after the last show the last."""
    entries = lut.values.astype(np.float64) / (2**lut.bits - 1)
    index = np.clip(np.rint(x) - lut.first, 0, len(entries) - 1).astype(np.intp)
    return np.asarray(np.clip(entries[index], 0.0, 1.0))


def hang(array: NDArray[Any], hanging: Hanging) -> NDArray[Any]:
    """Turn an array ``(H, W, ...)`` from the file's orientation to the display's, as a view."""
    turned = array.swapaxes(0, 1) if hanging.transpose else array
    rows = slice(None, None, -1) if hanging.flip_vertical else slice(None)
    columns = slice(None, None, -1) if hanging.flip_horizontal else slice(None)
    return turned[rows, columns]


def unhang(array: NDArray[Any], hanging: Hanging) -> NDArray[Any]:
    """Turn a hung array ``(H, W, ...)`` back to the file's orientation, as a view."""
    rows = slice(None, None, -1) if hanging.flip_vertical else slice(None)
    columns = slice(None, None, -1) if hanging.flip_horizontal else slice(None)
    turned = array[rows, columns]
    return turned.swapaxes(0, 1) if hanging.transpose else turned


def breast_mask(
    pixels: NDArray[np.uint16],
    *,
    inverted: bool = False,
    padding: tuple[int, int] | None = None,
) -> NDArray[np.bool_]:
    """Where the breast is: bool ``(H, W)``, True inside, one filled region; all False where there is none.

    ``pixels`` are unsigned stored values, ``inverted`` says that they are MONOCHROME1, ``padding`` is
    ``Header.padding``. The image is looked at with at most 512 samples along its longer side, which is what a
    mask that only has to leave out air, labels and detector edges needs: pass a coarse image and upscale, or
    expect steps of ``max(H, W) / 512`` pixels.
    """
    step = -(-max(pixels.shape) // SEGMENTATION_SIZE)
    coarse = _largest_region(_above_air(pixels[::step, ::step], inverted, padding))
    if step == 1:
        return coarse
    full = np.repeat(np.repeat(coarse, step, axis=0), step, axis=1)
    return full[: pixels.shape[0], : pixels.shape[1]]


def mask_box(mask: NDArray[np.bool_], shape: tuple[int, int], reduction: int = 1) -> tuple[int, int, int, int]:
    """Box ``(y0, x0, y1, x1)``, half-open, around a mask ``(h, w)`` in the pixels of an image of ``shape``.

    Sample ``(i, j)`` of the mask stands for the ``reduction`` pixels centred on ``(i * reduction, j *
    reduction)``; the box is rounded outwards. An empty mask gives the whole image.
    """
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(ys):
        return (0, 0, *shape)
    half = reduction // 2
    y0, x0 = max(int(ys[0]) * reduction - half, 0), max(int(xs[0]) * reduction - half, 0)
    y1 = min((int(ys[-1]) + 1) * reduction - half, shape[0])
    x1 = min((int(xs[-1]) + 1) * reduction - half, shape[1])
    # the last sample of an image stands for everything up to its border
    y1 = shape[0] if ys[-1] == mask.shape[0] - 1 else y1
    x1 = shape[1] if xs[-1] == mask.shape[1] - 1 else x1
    return (y0, x0, y1, x1)


def breast_box(
    pixels: NDArray[np.uint16],
    *,
    inverted: bool = False,
    padding: tuple[int, int] | None = None,
) -> tuple[int, int, int, int]:
    """Box around the breast as ``(y0, x0, y1, x1)``, half-open; the whole image where no breast is found.

    Arguments as in `breast_mask`; the box is the one that reading a file of these pixels finds.
    """
    shape = (pixels.shape[0], pixels.shape[1])
    halvings = coarse_halvings(shape)
    mask = breast_mask(low_band(pixels, halvings), inverted=inverted, padding=padding)
    return mask_box(mask, shape, 1 << halvings)


def coarse_halvings(shape: tuple[int, int]) -> int:
    """How often an image of ``shape`` is halved before the breast is looked for in it."""
    return (-(-max(shape) // SEGMENTATION_SIZE) - 1).bit_length()


def tissue_side(mask: NDArray[np.bool_]) -> Literal["left", "right"] | None:
    """On which side of the picture the chest wall is: where the breast meets the border; None where unclear.

    ``mask`` is bool ``(H, W)`` as `breast_mask` gives it. The breast meets the border along the chest wall; a
    mask that meets neither or both sides is judged by where most of it lies.
    """
    width = mask.shape[1]
    strip = max(1, width // 50)
    left, right = float(mask[:, :strip].mean()), float(mask[:, -strip:].mean())
    if max(left, right) >= 0.1 and max(left, right) >= 2.0 * min(left, right):
        return "left" if left > right else "right"
    area = mask.sum(axis=0, dtype=np.float64)
    middle = float((area * (np.arange(width) + 0.5)).sum() / max(float(area.sum()), 1.0)) / width
    if abs(middle - 0.5) < 0.05 or not mask.any():
        return None
    return "left" if middle < 0.5 else "right"


def _above_air(pixels: NDArray[np.uint16], inverted: bool, padding: tuple[int, int] | None) -> NDArray[np.bool_]:
    """Where the image ``(H, W)`` is brighter than the air around the breast, and not padding."""
    image = np.ones(pixels.shape, dtype=bool)
    if padding is not None:
        image = (pixels < padding[0]) | (pixels > padding[1])
    if not image.any() or _air_is_padding(image):
        return image
    bright = -pixels.astype(np.float32) if inverted else pixels.astype(np.float32)
    low, high = np.percentile(bright[image], (0.5, 99.5))
    if high <= low:
        return np.zeros_like(image)
    bright[~image] = low
    scaled = (np.clip((bright - low) / (high - low), 0.0, 1.0) * 255.0).astype(np.uint8)
    smooth = cv2.medianBlur(scaled, 5)
    return np.asarray(image & (smooth > _air_threshold(smooth[image])))


def _air_is_padding(image: NDArray[np.bool_]) -> bool:
    """Whether all air has been replaced by padding, so that whatever is left is tissue.

    Padding that only frames an image leaves a rectangle; padding instead of air leaves the outline of a
    breast.
    """
    if image.mean() > 0.98:
        return False
    rest = _largest_region(image)
    y0, x0, y1, x1 = mask_box(rest, (rest.shape[0], rest.shape[1]))
    box = rest[y0:y1, x0:x1]
    frame = np.concatenate([box[0], box[-1], box[:, 0], box[:, -1]])
    return bool(frame.mean() < 0.75)


def _air_threshold(values: NDArray[np.uint8]) -> int:
    """Grey level (0..255) that separates air from tissue, skin included.

    Otsu's threshold separates fat from gland as often as air from fat, so it is only used to find the air:
    its peak is the highest below Otsu's threshold, and tissue begins where the histogram has fallen away from
    that peak.
    """
    otsu, _ = cv2.threshold(values.reshape(-1, 1), 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    counts = np.convolve(np.bincount(values.ravel(), minlength=256), np.ones(3) / 3.0, mode="same")
    peak = int(counts[: int(otsu) + 1].argmax())
    fallen = np.flatnonzero(counts[peak : int(otsu) + 1] < 0.05 * counts[peak])
    valley = peak + int(fallen[0]) if len(fallen) else int(otsu)
    return min(max(valley, peak + 4), int(otsu))


def _largest_region(tissue: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest connected region of a mask, without thin lines and labels, its holes filled."""
    size = max(3, max(tissue.shape) // 44) | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    # outside counts as air, so that bright strips along the edge of a film go the way of thin lines
    framed = cv2.copyMakeBorder(tissue.astype(np.uint8), size, size, size, size, cv2.BORDER_CONSTANT, value=0)
    opened = cv2.morphologyEx(framed, cv2.MORPH_OPEN, kernel)[size:-size, size:-size]
    count, labels, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    if count < 2:
        return np.zeros_like(tissue)
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    region = (labels == largest).astype(np.uint8)
    outlines, _ = cv2.findContours(region, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(region, outlines, -1, color=1, thickness=cv2.FILLED)
    return np.asarray(region > 0)
