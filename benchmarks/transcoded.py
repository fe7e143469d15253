"""Exams to measure with: synthetic, and real pixels under another transfer syntax."""

from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
from pydicom.encaps import encapsulate

from mammo_core.phantom import VENDORS, PhantomSettings, make_exam, write_exam

ENCODERS = {
    "1.2.840.10008.1.2.4.70": lambda pixels, bits: imagecodecs.ljpeg_encode(pixels, bitspersample=bits),
    "1.2.840.10008.1.2.4.80": lambda pixels, _: imagecodecs.jpegls_encode(pixels),
}


def as_transfer_syntax(file: Path, syntax: str, folder: Path) -> Path:
    """Write the file's pixels, losslessly coded otherwise, into ``folder``."""
    folder.mkdir(exist_ok=True)
    dataset = pydicom.dcmread(file)
    pixels = np.ascontiguousarray(dataset.pixel_array)
    dataset.PixelData = encapsulate([ENCODERS[syntax](pixels, dataset.BitsStored)])
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(folder / file.name)
    return folder / file.name


def synthetic_exam(folder: Path) -> Path:
    """Make a four-view exam of 3328 rows in JPEG 2000, and say where it is."""
    jpeg_2000 = next(vendor for vendor in VENDORS if vendor.syntax == "1.2.840.10008.1.2.4.90")
    write_exam(make_exam(PhantomSettings(height=3328), seed=1, vendor=jpeg_2000), folder)
    return folder
