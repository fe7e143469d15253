"""How far apart pixels are, and at which plane that was measured (DICOM PS3.3 10.7.1.1)."""

from pydicom.dataset import Dataset

from mammo_core import attributes
from mammo_core.errors import InputError
from mammo_core.mammogram import Spacing

LARGEST_MM = 5.0
"""No radiograph has pixels this large: a larger value is a wrong unit."""


def spacing_of(dataset: Dataset) -> tuple[Spacing | None, tuple[str, ...]]:
    """The spacing to measure with, and warnings.

    A calibrated Pixel Spacing (one that differs from Imager Pixel Spacing, or names its calibration) goes
    first, for it is in the patient. Imager Pixel Spacing is at the detector; where the file has an Estimated
    Radiographic Magnification Factor (0018,1114), the ratio of source-image to source-object distance (PS3.3
    C.8.7.6), it is divided by that. A digitised film has Nominal Scanned Pixel Spacing. The source says which it was.
    """
    warnings: list[str] = []
    imager = _pair(dataset, "ImagerPixelSpacing", warnings)
    pixel = _pair(dataset, "PixelSpacing", warnings)
    scanned = _pair(dataset, "NominalScannedPixelSpacing", warnings)
    calibration = attributes.text(dataset, "PixelSpacingCalibrationType").upper()
    pixel_label, imager_label = attributes.label("PixelSpacing"), attributes.label("ImagerPixelSpacing")
    if pixel is not None and (calibration or (imager is not None and pixel != imager)):
        how = f"calibrated ({calibration})" if calibration else "calibrated, it does not say how"
        return Spacing(*pixel, f"{pixel_label}, {how}"), tuple(warnings)
    if imager is not None:
        factor = _magnification(dataset)
        if factor is None:
            return Spacing(*imager, f"{imager_label}, at the detector"), tuple(warnings)
        source = f"{imager_label} divided by Estimated Radiographic Magnification Factor {factor:g}"
        return Spacing(imager[0] / factor, imager[1] / factor, source), tuple(warnings)
    if scanned is not None:
        return Spacing(*scanned, f"{attributes.label('NominalScannedPixelSpacing')}, on the film"), tuple(warnings)
    if pixel is not None:
        return Spacing(*pixel, f"{pixel_label}, it does not say at which plane"), tuple(warnings)
    return None, tuple(warnings)


def _pair(dataset: Dataset, keyword: str, warnings: list[str]) -> tuple[float, float] | None:
    """Row and column spacing in mm; None, with a warning, where they are not two lengths."""
    try:
        values = attributes.numbers(dataset, keyword)
    except InputError as error:
        warnings.append(f"{error}: not used for measuring.")
        return None
    if not values:
        return None
    if len(values) != 2 or not all(0.0 < value < LARGEST_MM for value in values):
        shown = "\\".join(f"{value:g}" for value in values[:4])
        warnings.append(f"{attributes.label(keyword)} is {shown}, expected two lengths in mm: not used for measuring.")
        return None
    return values[0], values[1]


def _magnification(dataset: Dataset) -> float | None:
    """Estimated Radiographic Magnification Factor (0018,1114), where it is a magnification."""
    factor = attributes.lenient_number(dataset, "EstimatedRadiographicMagnificationFactor")
    return factor if factor is not None and 1.0 < factor < 4.0 else None
