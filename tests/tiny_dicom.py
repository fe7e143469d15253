"""Tiny mammograms as DICOM files for tests: a bright half disc on one side, and whatever header is asked for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import UID

from mammo_core.mammogram import Hanging, Header, Window

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.57"
JPEG_LOSSLESS_SV1 = "1.2.840.10008.1.2.4.70"
JPEG_LS = "1.2.840.10008.1.2.4.80"
JPEG_LS_NEAR = "1.2.840.10008.1.2.4.81"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
JPEG_2000_LOSSY = "1.2.840.10008.1.2.4.91"
RLE = "1.2.840.10008.1.2.5"
MG_FOR_PRESENTATION = "1.2.840.10008.5.1.4.1.1.1.2"

COMPRESSED = (JPEG_LOSSLESS, JPEG_LOSSLESS_SV1, JPEG_LS, JPEG_LS_NEAR, JPEG_2000, JPEG_2000_LOSSY, RLE)


def breast(rows: int = 96, columns: int = 64, *, side: str = "left", high: int = 3000) -> NDArray[np.int64]:
    """Air 0 and a half disc, centre row ``rows / 2``, brighter inwards from ``high / 2`` to ``high``, on one side."""
    y, x = np.mgrid[0:rows, 0:columns].astype(float)
    radius = np.hypot((y - rows / 2) / (0.42 * rows), x / (0.7 * columns))
    picture = np.where(radius < 1.0, high * (1.0 - 0.5 * radius), 0.0).astype(np.int64)
    return picture if side == "left" else picture[:, ::-1]


def code(value: str, scheme: str, meaning: str, **more: Any) -> Dataset:
    """An item of a code sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    for keyword, value_of in more.items():
        setattr(item, keyword, value_of)
    return item


def mammogram_dataset(
    pixels: NDArray[Any], *, syntax: str = EXPLICIT, bits: int = 12, signed: bool = False, **attributes: Any
) -> Dataset:
    """A left CC mammogram For Presentation; a keyword given as None is left out of the header."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    dataset.file_meta.MediaStorageSOPClassUID = UID(MG_FOR_PRESENTATION)
    dataset.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3.4")
    fields: dict[str, Any] = {
        "SOPClassUID": MG_FOR_PRESENTATION,
        "SOPInstanceUID": "1.2.3.4",
        "StudyInstanceUID": "1.2.3",
        "SeriesInstanceUID": "1.2.3.1",
        "StudyDate": "20240102",
        "Modality": "MG",
        "PresentationIntentType": "FOR PRESENTATION",
        "PatientID": "P1",
        "PatientAge": "055Y",
        "Manufacturer": "Tiny",
        "ManufacturerModelName": "One",
        "ImageLaterality": "L",
        "ViewPosition": "CC",
        "PatientOrientation": ["A", "R"],
        "PhotometricInterpretation": "MONOCHROME2",
        "SamplesPerPixel": 1,
        "Rows": pixels.shape[0],
        "Columns": pixels.shape[1],
        "BitsAllocated": 8 if bits == 8 else 16,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(signed),
        "WindowCenter": 2048,
        "WindowWidth": 4096,
        **attributes,
    }
    for keyword, value in fields.items():
        if value is not None:
            setattr(dataset, keyword, Sequence(value) if keyword.endswith("Sequence") else value)
    frame = encoded(pixels, syntax, bits=bits, signed=signed)
    dataset.PixelData = frame if syntax in (IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN) else encapsulate([frame])
    dataset["PixelData"].VR = "OB" if dataset.file_meta.TransferSyntaxUID.is_encapsulated or bits == 8 else "OW"
    return dataset


def write(path: Path, dataset: Dataset) -> Path:
    """Save with preamble and file meta information."""
    syntax = dataset.file_meta.TransferSyntaxUID
    dataset["PixelData"].is_undefined_length = syntax.is_encapsulated
    dataset.save_as(path, enforce_file_format=True)
    return path


def write_mammogram(path: Path, pixels: NDArray[Any] | None = None, **options: Any) -> Path:
    """Save a mammogram; options as for `mammogram_dataset`."""
    return write(path, mammogram_dataset(breast() if pixels is None else pixels, **options))


def encoded(pixels: NDArray[Any], syntax: str, *, bits: int, signed: bool = False) -> bytes:
    """One frame in a transfer syntax."""
    words: NDArray[Any] = pixels.astype(np.uint8 if bits == 8 else np.uint16) & ((1 << bits) - 1)
    encoders: dict[str, Callable[[], bytes]] = {
        RLE: lambda: _rle(words),
        JPEG_LOSSLESS: lambda: imagecodecs.jpeg8_encode(words, lossless=True, predictor=6, bitspersample=bits),
        JPEG_LOSSLESS_SV1: lambda: imagecodecs.jpeg8_encode(words, lossless=True, predictor=1, bitspersample=bits),
        JPEG_BASELINE: lambda: imagecodecs.jpeg8_encode(words, level=98),
        JPEG_EXTENDED: lambda: imagecodecs.jpeg8_encode(words, level=98, bitspersample=bits),
        JPEG_LS: lambda: imagecodecs.jpegls_encode(words),
        JPEG_LS_NEAR: lambda: imagecodecs.jpegls_encode(words),
        JPEG_2000: lambda: _jpeg2000(pixels if signed else words, bits, signed),
        JPEG_2000_LOSSY: lambda: _jpeg2000(pixels if signed else words, bits, signed),
    }
    if syntax in encoders:
        return bytes(encoders[syntax]())
    plain: NDArray[Any] = pixels.astype((np.int8 if bits == 8 else "<i2") if signed else words.dtype)
    return plain.astype(plain.dtype.newbyteorder(">" if syntax == BIG_ENDIAN else "<")).tobytes()


def _rle(words: NDArray[Any]) -> bytes:
    """PS3.5 Annex G by hand: literal runs only, one segment for each byte, most significant first."""
    planes = (
        [words.astype(np.uint8)] if words.dtype == np.uint8 else [(words >> 8).astype(np.uint8), words.astype(np.uint8)]
    )
    segments = []
    for plane in planes:
        flat, packed = plane.tobytes(), bytearray()
        for start in range(0, len(flat), 128):
            run = flat[start : start + 128]
            packed += bytes([len(run) - 1]) + run
        segments.append(bytes(packed) + b"\0" * (len(packed) % 2))
    offsets = [64 + sum(len(segment) for segment in segments[:index]) for index in range(len(segments))]
    header = np.array([len(segments), *offsets] + [0] * (15 - len(segments)), dtype="<u4").tobytes()
    return header + b"".join(segments)


def _jpeg2000(pixels: NDArray[Any], bits: int, signed: bool) -> bytes:
    kind = ("i" if signed else "u") + ("1" if bits == 8 else "2")
    return bytes(
        imagecodecs.jpeg2k_encode(
            pixels.astype(kind), level=0, codecformat="j2k", bitspersample=bits, reversible=True, resolutions=5
        )
    )


def header(**changes: object) -> Header:
    """Header of a left CC view of 2 x 3 pixels, then changed."""
    fields: dict[str, object] = {
        "file": "a.dcm",
        "sha256": "00",
        "study_uid": "1.2",
        "study_uid_source": "",
        "series_uid": "",
        "sop_uid": "",
        "patient_id": "P",
        "study_date": "20240101",
        "manufacturer": "",
        "manufacturer_model": "",
        "patient_age": "",
        "laterality": "L",
        "laterality_source": "",
        "view": "CC",
        "view_source": "",
        "view_modifiers": (),
        "rows": 2,
        "columns": 3,
        "bits_stored": 12,
        "transfer_syntax": "",
        "photometric": "MONOCHROME2",
        "stored_offset": 0,
        "slope": 1.0,
        "intercept": 0.0,
        "padding": None,
        "vois": (Window(2048.0, 4096.0, "LINEAR", ""),),
        "spacing": None,
        "hanging": Hanging(False, False, False, ""),
        "breast_box": (0, 0, 2, 3),
        "warnings": (),
        **changes,
    }
    return Header(**fields)  # type: ignore[arg-type]
