"""A phantom exam -> DICOM files with masks and truth: what a digital mammography unit would send, and the answers.

Digital Mammography X-Ray Image - For Presentation (PS3.3 A.26). A folder holds RCC.dcm and so on, masks/RCC.png
(8 bit, number of the lesion at each stored pixel) and truth.json; it is whole or absent.
"""

import io
import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian

from mammo_core.mammogram import VoiLut
from mammo_core.phantom.exam import PhantomExam, PhantomView
from mammo_core.phantom.value import sop_uid, study_uid, view_name
from mammo_core.phantom.vendors import (
    JPEG_2000_LOSSLESS,
    JPEG_LOSSLESS,
    JPEG_LS_LOSSLESS,
    RLE_LOSSLESS,
    Vendor,
    patient_orientation,
    vois,
)

FOR_PRESENTATION = UID("1.2.840.10008.5.1.4.1.1.1.2")
VIEW_CODES = {"CC": ("399162004", "cranio-caudal"), "MLO": ("399368009", "medio-lateral oblique")}
"""CID 4014, SNOMED CT."""


def write_exam(exam: PhantomExam, folder: Path, *, leave_out: Iterable[str] = ()) -> None:
    """Write an exam into ``folder``, which appears only when it is complete; one that is there is replaced.

    ``leave_out`` names views that were not taken, such as "LMLO".
    """
    making = folder.with_name(f".making-{folder.name}")
    shutil.rmtree(making, ignore_errors=True)
    (making / "masks").mkdir(parents=True)
    views = [view for view in exam.views if view.laterality + view.view not in set(leave_out)]
    for view in views:
        stream = io.BytesIO()
        dataset(exam, view).save_as(stream, enforce_file_format=True)
        (making / view_name(view)).write_bytes(stream.getvalue())
        (making / "masks" / view_name(view).replace(".dcm", ".png")).write_bytes(png(view.mask))
    text = json.dumps(truth(exam, views), indent=1)
    (making / "truth.json").write_text(text + "\n", encoding="utf-8")
    if folder.exists():
        shutil.rmtree(folder)
    making.replace(folder)


def png(picture: NDArray[Any]) -> bytes:
    """Return ``picture``, uint8 or uint16 (H, W), as PNG, packed quickly."""
    return bytes(cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1])


def truth(exam: PhantomExam, views: Iterable[PhantomView]) -> dict[str, Any]:
    """Return what is known of an exam, as JSON values. Positions: mm in the breast, stored pixels in a view."""
    lesions = [
        {
            "number": number,
            "laterality": side,
            "kind": lesion.kind,
            "malignant": lesion.malignant,
            "size_mm": round(lesion.size_mm, 2),
            "depth_mm": round(lesion.position[0], 2),
            "lateral_mm": round(lesion.position[1], 2),
            "above_mm": round(lesion.position[2], 2),
        }
        for number, (side, lesion) in enumerate(exam.lesions, start=1)
    ]
    return {
        "schema": 1,
        "patient_id": exam.patient_id,
        "study_uid": study_uid(exam),
        "study_date": exam.study_date,
        "prior": exam.prior,
        "vendor": exam.vendor.letter,
        "age": exam.age,
        "density": exam.density,
        "cancer": exam.cancer,
        "lesions": lesions,
        "views": [_view_truth(view) for view in views],
    }


def _view_truth(view: PhantomView) -> dict[str, Any]:
    name = view_name(view)
    return {
        "file": name,
        "mask": f"masks/{name.replace('.dcm', '.png')}",
        "laterality": view.laterality,
        "view": view.view,
        "cancer": view.cancer,
        "nipple": [round(value, 1) for value in view.nipple],
        "lesions": [
            {
                "number": seen.number,
                "x": round(seen.x, 1),
                "y": round(seen.y, 1),
                "conspicuity": round(seen.conspicuity, 3),
                "visible": seen.visible,
            }
            for seen in view.lesions
        ],
    }


def dataset(exam: PhantomExam, view: PhantomView) -> Dataset:
    """Return one view as a complete DICOM data set with file meta information."""
    vendor = exam.vendor
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = UID(vendor.syntax)
    _add_patient_and_study(made, exam)
    _add_equipment(made, exam, view)
    _add_projection(made, vendor, view)
    _add_grayscale(made, vendor)
    _add_pixels(made, vendor, view.pixels)
    return made


def _add_patient_and_study(made: Dataset, exam: PhantomExam) -> None:
    made.SpecificCharacterSet = "ISO_IR 192"
    made.PatientName = f"Phantom^{exam.patient_id.removeprefix('PHANTOM-')}"
    made.PatientID = exam.patient_id
    made.PatientBirthDate = ""
    made.PatientSex = "F"
    made.PatientAge = f"{exam.age:03d}Y"
    made.StudyInstanceUID = study_uid(exam)
    made.StudyDate = made.SeriesDate = made.AcquisitionDate = made.ContentDate = exam.study_date
    made.StudyTime = made.SeriesTime = made.AcquisitionTime = made.ContentTime = "100000"
    made.StudyID = "1"
    made.AccessionNumber = ""
    made.ReferringPhysicianName = ""
    made.StudyDescription = "Synthetic mammography, not a patient"


def _add_equipment(made: Dataset, exam: PhantomExam, view: PhantomView) -> None:
    number = exam.views.index(view) + 1
    made.SOPClassUID = FOR_PRESENTATION
    made.SOPInstanceUID = sop_uid(exam, view)
    made.SeriesInstanceUID = exam.seed.uid("series", exam.study_date)
    made.Modality = "MG"
    made.PresentationIntentType = "FOR PRESENTATION"
    made.SeriesNumber = 1
    made.InstanceNumber = number
    made.Manufacturer = exam.vendor.manufacturer
    made.ManufacturerModelName = f"Phantom {exam.vendor.letter}"
    made.DetectorType = "DIRECT"
    made.ImagerPixelSpacing = [exam.spacing, exam.spacing]
    made.PositionerType = "MAMMOGRAPHIC"
    made.KVP = "29"
    made.AcquisitionContextSequence = Sequence()


def _add_projection(made: Dataset, vendor: Vendor, view: PhantomView) -> None:
    made.ImageType = ["DERIVED", "PRIMARY"]
    made.ImageLaterality = view.laterality
    made.ViewPosition = view.view
    value, meaning = VIEW_CODES[view.view]
    code = _code(value, meaning)
    code.ViewModifierCodeSequence = Sequence()
    made.ViewCodeSequence = Sequence([code])
    made.AnatomicRegionSequence = Sequence([_code("76752008", "Breast")])
    made.OrganExposed = "BREAST"
    made.BodyPartExamined = "BREAST"
    made.PatientOrientation = list(patient_orientation(vendor.storage, view.laterality, view.view))
    made.BreastImplantPresent = "NO"
    made.BurnedInAnnotation = "NO"
    made.LossyImageCompression = "00"


def _code(value: str, meaning: str) -> Dataset:
    """Return a Code Sequence item in SNOMED CT (PS3.3 8.8)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", meaning
    return item


def _add_grayscale(made: Dataset, vendor: Vendor) -> None:
    made.PixelIntensityRelationship = "LOG"
    made.PixelIntensityRelationshipSign = -1 if vendor.photometric == "MONOCHROME1" else 1
    made.RescaleIntercept, made.RescaleSlope, made.RescaleType = "0", "1", "US"
    made.PresentationLUTShape = "INVERSE" if vendor.photometric == "MONOCHROME1" else "IDENTITY"
    choices = vois(vendor)
    windows = [voi for voi in choices if not isinstance(voi, VoiLut)]
    tables = [voi for voi in choices if isinstance(voi, VoiLut)]
    if windows:
        made.WindowCenter = [voi.center for voi in windows]
        made.WindowWidth = [voi.width for voi in windows]
        made.WindowCenterWidthExplanation = [voi.explanation for voi in windows]
        made.VOILUTFunction = windows[0].function
    if tables:
        made.VOILUTSequence = Sequence([_table(voi) for voi in tables])


def _table(voi: VoiLut) -> Dataset:
    """Return an item of VOI LUT Sequence (PS3.3 C.11.2.1.1)."""
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(voi.values), voi.first, voi.bits])
    item.LUTExplanation = voi.explanation
    item.add_new("LUTData", "OW", np.asarray(voi.values, "<u2").tobytes())
    return item


def _add_pixels(made: Dataset, vendor: Vendor, pixels: NDArray[np.uint16]) -> None:
    made.SamplesPerPixel = 1
    made.PhotometricInterpretation = vendor.photometric
    made.Rows, made.Columns = pixels.shape
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, vendor.bits, vendor.bits - 1, 0
    if vendor.padding:
        made.add_new("PixelPaddingValue", "US", vendor.background)
    if vendor.syntax == ExplicitVRLittleEndian:
        made.add_new("PixelData", "OW", pixels.astype("<u2").tobytes())
        return
    made.add_new("PixelData", "OB", encapsulate([ENCODERS[vendor.syntax](pixels, vendor.bits)]))
    made["PixelData"].is_undefined_length = True


def _jpeg_lossless(pixels: NDArray[np.uint16], bits: int) -> bytes:
    """JPEG process 14, selection value 1 (PS3.5 A.4.2)."""
    return bytes(imagecodecs.jpeg8_encode(pixels, lossless=True, predictor=1, bitspersample=bits))


def _jpeg_ls(pixels: NDArray[np.uint16], _bits: int) -> bytes:
    return bytes(imagecodecs.jpegls_encode(pixels))


def _jpeg_2000(pixels: NDArray[np.uint16], bits: int) -> bytes:
    stream = imagecodecs.jpeg2k_encode(
        pixels, level=0, codecformat="j2k", bitspersample=bits, reversible=True, resolutions=6
    )
    return bytes(stream)


def _rle(pixels: NDArray[np.uint16], _bits: int) -> bytes:
    """PS3.5 Annex G: one segment per byte, the most significant first, each row packed by itself."""
    segments = []
    for plane in ((pixels >> 8).astype(np.uint8), pixels.astype(np.uint8)):
        packed = b"".join(bytes(imagecodecs.packbits_encode(np.ascontiguousarray(row))) for row in plane)
        segments.append(packed + b"\0" * (len(packed) % 2))
    starts = [64, 64 + len(segments[0])]
    return np.array([2, *starts] + [0] * 13, "<u4").tobytes() + b"".join(segments)


ENCODERS: dict[str, Callable[[NDArray[np.uint16], int], bytes]] = {
    JPEG_LOSSLESS: _jpeg_lossless,
    JPEG_LS_LOSSLESS: _jpeg_ls,
    JPEG_2000_LOSSLESS: _jpeg_2000,
    RLE_LOSSLESS: _rle,
}
