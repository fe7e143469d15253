"""One DICOM file -> `Mammogram`, with every decision on the way recorded in its header.

Each step is a module of its own: `guard` opens, `suitability` admits, `codec` decodes, `grayscale`,
`spacing`, `projection` and `orientation` interpret. This one puts them in order and knows nothing of studies.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from mammo_core import attributes
from mammo_core.codec import Frame, decode
from mammo_core.errors import InputError
from mammo_core.grayscale import full_range, modality_line, padding_range, voi_choices
from mammo_core.guard import OpenedFile, open_file, open_frame
from mammo_core.low_band import halvings_within, low_band
from mammo_core.mammogram import (
    Header,
    Mammogram,
    Voi,
    breast_mask,
    coarse_halvings,
    mask_box,
    reduced,
    tissue_side,
)
from mammo_core.orientation import hanging_for
from mammo_core.projection import projection_of
from mammo_core.spacing import spacing_of
from mammo_core.suitability import reading_warnings, refuse_other_images, view_modifiers

SMALLEST_BREAST = 0.02
"""Share of the image that a breast covers at least; below it there is a test pattern, a label or nothing."""


def read_mammogram(path: Path, *, name: str | None = None, target: int | None = None) -> Mammogram:
    """Read one file, in this process: use `sandbox.DecodeSandbox` for files that may be hostile.

    ``name`` is what the user is shown (default: the path). With ``target`` the pixels come at the
    largest power-of-two reduction at which the longer side of the breast box still has at least ``2 * target``
    samples: JPEG 2000 is decoded no further, other files are halved in the same way, to the same numbers. The
    header does not depend on ``target``: the breast is always looked for in the same coarse image.

    Raises `InputError` whose subject is ``name``, and nothing else.
    """
    shown = str(path) if name is None else name
    try:
        return _read(path, shown, target)
    except InputError as error:
        raise InputError(shown, attributes.printable(f"{error.subject} {error.reason}")) from error
    except MemoryError as error:
        raise InputError(shown, "needs more memory than is allowed") from error
    except RecursionError as error:
        raise InputError(shown, "nests sequences too deeply: no real header does") from error


@dataclass(frozen=True)
class _Breast:
    """What the coarse image shows."""

    box: tuple[int, int, int, int]
    side: Literal["left", "right"] | None
    padding: tuple[int, int] | None
    warnings: tuple[str, ...]


def _read(path: Path, name: str, target: int | None) -> Mammogram:
    opened = open_file(path)
    kind_warnings = refuse_other_images(opened.dataset, opened.sop_class)
    uids = _checked_uids(opened.dataset)
    frame = open_frame(opened)
    slope, intercept = modality_line(opened.dataset, frame.rule)
    vois, voi_warnings = voi_choices(opened.dataset)
    inverted = attributes.text(opened.dataset, "PhotometricInterpretation").upper() == "MONOCHROME1"
    padding = padding_range(opened.dataset, frame.rule)

    # the full range of a file without any VOI needs every pixel
    full = decode(frame) if target is None or not vois or frame.levels == 0 else None
    coarse, step = _coarse(frame, full)
    breast = _find_breast(coarse, step, (frame.rows, frame.columns), inverted, padding)
    if full is not None and not vois:
        vois = (_full_range(full, breast.padding, slope, intercept),)
    y0, x0, y1, x1 = breast.box
    halvings = 0 if target is None else halvings_within(max(y1 - y0, x1 - x0), target)
    native = min(halvings, frame.levels) if full is None else 0
    pixels = decode(frame, 1 << native) if full is None else full
    warnings = (*kind_warnings, *voi_warnings, *breast.warnings)
    header = _header(opened, frame, name, uids, (slope, intercept), vois, inverted, breast, warnings)
    return reduced(Mammogram(header, pixels, 1 << native), halvings)


def _header(
    opened: OpenedFile,
    frame: Frame,
    name: str,
    uids: tuple[str, str, str],
    line: tuple[float, float],
    vois: tuple[Voi, ...],
    inverted: bool,
    breast: _Breast,
    warnings: tuple[str, ...],
) -> Header:
    """Everything that is known of the image besides its pixels."""
    dataset = opened.dataset
    projection = projection_of(dataset, name)
    modifiers = view_modifiers(dataset, projection)
    orientation = attributes.texts(dataset, "PatientOrientation")
    hanging, hanging_warnings = hanging_for(projection.laterality, orientation, breast.side)
    spacing, spacing_warnings = spacing_of(dataset)
    return Header(
        file=name,
        sha256=opened.sha256,
        study_uid=uids[0],
        study_uid_source=attributes.label("StudyInstanceUID") if uids[0] else "absent: grouped by patient and date",
        series_uid=uids[1],
        sop_uid=uids[2],
        patient_id=attributes.text(dataset, "PatientID"),
        study_date=_study_date(dataset),
        manufacturer=attributes.text(dataset, "Manufacturer"),
        manufacturer_model=attributes.text(dataset, "ManufacturerModelName"),
        patient_age=attributes.text(dataset, "PatientAge"),
        laterality=projection.laterality,
        laterality_source=projection.laterality_source,
        view=projection.view,
        view_source=projection.view_source,
        view_modifiers=modifiers,
        rows=frame.rows,
        columns=frame.columns,
        bits_stored=frame.rule.bits_stored,
        transfer_syntax=opened.transfer_syntax,
        photometric="MONOCHROME1" if inverted else "MONOCHROME2",
        stored_offset=frame.rule.offset,
        slope=line[0],
        intercept=line[1],
        padding=breast.padding,
        vois=vois,
        spacing=spacing,
        hanging=hanging,
        breast_box=breast.box,
        warnings=(
            *warnings,
            *reading_warnings(dataset, modifiers),
            *projection.warnings,
            *hanging_warnings,
            *spacing_warnings,
        ),
        patient_orientation=orientation,
        tissue_side=breast.side,
    )


def _checked_uids(dataset: Dataset) -> tuple[str, str, str]:
    """Study, series and instance UID, each empty or digits and dots (PS3.5 9.1): never a path."""
    found = []
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        uid = attributes.text(dataset, keyword).strip("\0 ")
        if len(uid) > 64 or set(uid) - set("0123456789."):
            raise InputError(attributes.label(keyword), f"is {uid[:80]!r}, expected at most 64 digits and dots")
        found.append(uid)
    return found[0], found[1], found[2]


def _study_date(dataset: Dataset) -> str:
    """Study Date (0008,0020) as YYYYMMDD (the old form with dots too), else empty."""
    date = attributes.text(dataset, "StudyDate").replace(".", "")
    return date if len(date) == 8 and date.isascii() and date.isdigit() else ""


def _coarse(frame: Frame, full: NDArray[np.uint16] | None) -> tuple[NDArray[np.uint16], int]:
    """A small image to find the breast in, and its reduction.

    JPEG 2000 is decoded at that reduction even where the full image is at hand, so that the box never depends
    on what was asked for: of a lossy file the two may differ.
    """
    halvings = coarse_halvings((frame.rows, frame.columns))
    native = min(halvings, frame.levels)
    band = full if full is not None and not native else decode(frame, 1 << native)
    return low_band(band, halvings - native), 1 << halvings


def _find_breast(
    coarse: NDArray[np.uint16],
    step: int,
    shape: tuple[int, int],
    inverted: bool,
    padding: tuple[int, int] | None,
) -> _Breast:
    """Box, chest wall and trustworthy padding; `InputError` where there is no breast.

    Padding lies outside the breast (C.7.5.1.1.2). A padding value whose pixels are mostly inside is an
    ordinary gray value that the header names by mistake: blanking it would punch holes.
    """
    warnings = []
    if padding is not None:
        mask = breast_mask(coarse, inverted=inverted, padding=None)
        padded = (coarse >= padding[0]) & (coarse <= padding[1])
        if padded.any() and (padded & mask).sum() > 0.5 * padded.sum() and mask.mean() < 0.95:
            warnings.append(
                f"Pixel Padding Value (0028,0120) names gray values {padding[0]} to {padding[1]},"
                " which occur in the breast: it is not used."
            )
            padding = None
    mask = breast_mask(coarse, inverted=inverted, padding=padding)
    if mask.mean() < SMALLEST_BREAST:
        raise InputError("picture", "shows no breast: nothing that stands out from the background is large enough")
    return _Breast(mask_box(mask, shape, step), tissue_side(mask), padding, tuple(warnings))


def _full_range(pixels: NDArray[np.uint16], padding: tuple[int, int] | None, slope: float, intercept: float) -> Voi:
    """The window from the smallest to the largest pixel that is not padding."""
    image = pixels if padding is None else pixels[(pixels < padding[0]) | (pixels > padding[1])]
    return full_range(int(image.min()), int(image.max()), slope, intercept)
