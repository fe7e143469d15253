"""A PNG -> `Mammogram`, for data sets that somebody has converted; and the lesion masks that lie beside images.

A picture is taken as it is shown: MONOCHROME2, its full range the window. Knows nothing of tables.
"""

import hashlib
import io
import plistlib
import re
import warnings
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from mammo_core.dicom import SMALLEST_BREAST
from mammo_core.errors import InputError
from mammo_core.grayscale import full_range
from mammo_core.limits import Limits
from mammo_core.low_band import low_band
from mammo_core.mammogram import Header, Mammogram, breast_mask, coarse_halvings, mask_box, tissue_side
from mammo_core.orientation import hanging_for
from mammo_core.projection import assigned_laterality, assigned_view

PICTURES = (".png",)
"""Endings of plain pictures; everything else is read as DICOM."""

_POINT = re.compile(r"\(\s*(-?[\d.]+)\s*,\s*(-?[\d.]+)\s*\)")


def read_picture(
    path: Path, *, name: str, laterality: str, view: str, said_by: str, chest_wall: Literal["left"] | None = None
) -> Mammogram:
    """Read a grey PNG of 8 or 16 bits as a mammogram whose header knows what a table said.

    An 8-bit picture is shown from 0 to 255, a 16-bit one from its smallest to its largest value. Where
    ``chest_wall`` is None it is looked for. Raises `InputError` whose subject is ``name``.
    """
    pixels, sha256 = _grey(path, name)
    rows, columns = pixels.shape
    halvings = coarse_halvings((rows, columns))
    mask = breast_mask(low_band(pixels.astype(np.uint16), halvings))
    if mask.mean() < SMALLEST_BREAST:
        raise InputError(name, "shows no breast: nothing that stands out from the background is large enough")
    range_ = (0, 255) if pixels.dtype == np.uint8 else (int(pixels.min()), int(pixels.max()))
    side = tissue_side(mask) if chest_wall is None else chest_wall
    breast_side = assigned_laterality(laterality)
    hanging, hanging_warnings = hanging_for(breast_side, (), side)
    header = Header(
        file=name,
        sha256=sha256,
        study_uid="",
        study_uid_source="absent: a picture has none",
        series_uid="",
        sop_uid="",
        patient_id="",
        study_date="",
        manufacturer="",
        manufacturer_model="",
        patient_age="",
        laterality=breast_side,
        laterality_source=said_by,
        view=assigned_view(view),
        view_source=said_by,
        view_modifiers=(),
        rows=rows,
        columns=columns,
        bits_stored=8 * pixels.dtype.itemsize,
        transfer_syntax="",
        photometric="MONOCHROME2",
        stored_offset=0,
        slope=1.0,
        intercept=0.0,
        padding=None,
        vois=(full_range(*range_, 1.0, 0.0),),
        spacing=None,
        hanging=hanging,
        breast_box=mask_box(mask, (rows, columns), 1 << halvings),
        warnings=hanging_warnings,
        tissue_side=side,
    )
    return Mammogram(header, pixels.astype(np.uint16))


def read_mask(path: Path, *, name: str, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """A lesion mask: uint8 ``(h, w)``, 0 outside lesions; a picture of any size, or INbreast's outlines in ``shape``.

    ``shape`` is that of the mammogram, to which the outlines' points refer. Raises `InputError` of ``name``.
    """
    if path.suffix.lower() == ".xml":
        return _outlined(path, name, shape)
    pixels, _ = _grey(path, name)
    if pixels.dtype != np.uint8:
        raise InputError(name, f"has {8 * pixels.dtype.itemsize} bits, expected a mask of 8")
    return pixels


def _grey(path: Path, name: str) -> tuple[NDArray[Any], str]:
    """Pixels ``(H, W)``, uint8 or uint16, and the file's hash."""
    limits = Limits()
    try:
        content = path.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            opened = Image.open(io.BytesIO(content), formats=["PNG"])
        if opened.width * opened.height > limits.megapixels * 1e6:
            found = f"has {opened.width} x {opened.height} pixels"
            raise InputError(name, f"{found}, expected at most {limits.megapixels:g} million")
        pixels = np.asarray(opened.convert("L") if opened.mode == "1" else opened)
    except InputError:
        raise
    except UnidentifiedImageError:  # whose own words are an address in memory
        raise InputError(name, "is not a whole PNG picture (it does not begin as one)") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(name, f"is not a whole PNG picture ({str(error)[:150]})") from error
    if pixels.ndim == 3 and opened.mode == "RGB" and bool((pixels == pixels[..., :1]).all()):
        pixels = pixels[..., 0]
    if pixels.ndim != 2 or opened.mode == "P" or pixels.dtype.kind not in "ui":
        raise InputError(name, f"is a picture of mode {opened.mode}, expected grey of 8 or 16 bits")
    if pixels.dtype not in (np.uint8, np.uint16):
        pixels = pixels.astype(np.uint16)  # older versions of Pillow open 16 bits as 32
    return np.ascontiguousarray(pixels), hashlib.sha256(content).hexdigest()


def _outlined(path: Path, name: str, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """INbreast's ``<image>.xml``: a property list whose regions of the name "Mass" are filled, numbered from 1."""
    try:
        regions = plistlib.loads(path.read_bytes(), fmt=plistlib.FMT_XML)["Images"][0]["ROIs"]
        outlines = [
            np.array([[float(x) for x in _coordinates(point)] for point in region["Point_px"]])
            for region in regions
            if str(region["Name"]).strip().lower() == "mass"
        ]
    except Exception as error:  # plistlib raises whatever its parser runs into
        raise InputError(name, f"is not INbreast's list of regions ({type(error).__name__}: {error})") from error
    mask = np.zeros(shape, np.uint8)
    for number, outline in enumerate(outlines, start=1):
        cv2.fillPoly(mask, [np.rint(outline).astype(np.int32)], color=min(number, 255))
    return mask


def _coordinates(point: str) -> tuple[str, str]:
    found = _POINT.fullmatch(point.strip())
    if found is None:
        raise ValueError(f"{point!r} is no point (x, y)")
    return found[1], found[2]
