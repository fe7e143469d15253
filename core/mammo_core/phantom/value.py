"""A phantom's view as the Mammogram that reading its file would give."""

import hashlib

from mammo_core.mammogram import Header, Mammogram, Spacing, breast_mask, mask_box, tissue_side
from mammo_core.phantom.exam import PhantomExam, PhantomView
from mammo_core.phantom.vendors import patient_orientation, vois


def view_name(view: PhantomView) -> str:
    """Return the file name of a view: "RCC.dcm" and so on."""
    return f"{view.laterality}{view.view}.dcm"


def study_uid(exam: PhantomExam) -> str:
    """Return Study Instance UID (0020,000D)."""
    return exam.seed.uid("study", exam.study_date)


def sop_uid(exam: PhantomExam, view: PhantomView) -> str:
    """Return SOP Instance UID (0008,0018)."""
    return exam.seed.uid("image", exam.study_date, view.laterality, view.view)


def to_mammogram(exam: PhantomExam, view: PhantomView) -> Mammogram:
    """Return ``view`` without going through a file. Its ``sha256`` is that of the pixels: there is no file.

    The breast box is the one that a reader of the file would find, not the true one.
    """
    vendor = exam.vendor
    rows, columns = view.pixels.shape
    padding = (vendor.background, vendor.background) if vendor.padding else None
    found = breast_mask(view.pixels, inverted=vendor.photometric == "MONOCHROME1", padding=padding)
    spacing = Spacing(exam.spacing, exam.spacing, "Imager Pixel Spacing (0018,1164), at the detector")
    header = Header(
        file=f"{exam.patient_id}/{view_name(view)}",
        sha256=hashlib.sha256(view.pixels.tobytes()).hexdigest(),
        study_uid=study_uid(exam),
        study_uid_source="Study Instance UID (0020,000D)",
        series_uid=exam.seed.uid("series", exam.study_date),
        sop_uid=sop_uid(exam, view),
        patient_id=exam.patient_id,
        study_date=exam.study_date,
        manufacturer=vendor.manufacturer,
        manufacturer_model=f"Phantom {vendor.letter}",
        patient_age=f"{exam.age:03d}Y",
        laterality=view.laterality,
        laterality_source="Image Laterality (0020,0062)",
        view=view.view,
        view_source="View Code Sequence (0054,0220)",
        view_modifiers=(),
        rows=rows,
        columns=columns,
        bits_stored=vendor.bits,
        transfer_syntax=vendor.syntax,
        photometric=vendor.photometric,
        stored_offset=0,
        slope=1.0,
        intercept=0.0,
        padding=padding,
        vois=vois(vendor),
        spacing=spacing,
        hanging=view.hanging,
        breast_box=mask_box(found, (rows, columns)),
        warnings=(),
        patient_orientation=patient_orientation(vendor.storage, view.laterality, view.view),
        tissue_side=tissue_side(found),
    )
    return Mammogram(header, view.pixels)
