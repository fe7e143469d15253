"""RSNA Screening Mammography Breast Cancer Detection, as Kaggle lays it out.

``train.csv`` and ``train_images/PATIENT/IMAGE.dcm``, or ``.png`` where somebody has converted it. The DICOM
headers are stripped: laterality and view are in the table only. ``cancer`` labels breasts: it is 1 for every view
of a breast with a cancer proved by biopsy.
"""

from pathlib import Path

from mammo_train.sources.listing import Lister, Source, read_rows

TABLE = "train.csv"
FOLDER = "train_images"
_WANTED = ("patient_id", "image_id", "laterality", "view", "cancer")
_KEPT = ("age", "density", "implant", "site_id", "machine_id")
_FURTHER = ("biopsy", "invasive", "birads", "difficult_negative_case")


def listed(folder: Path) -> Source:
    """List what ``train.csv`` names; `InputError` where it is missing or is another table."""
    found = Lister("rsna", folder, TABLE)
    pictures = 0
    for where, row in read_rows(folder / TABLE, _WANTED):
        path = _file(folder / FOLDER / row["patient_id"], row["image_id"])
        pictures += path.suffix == ".png"
        cells = {name: row.get(name, "") for name in (*_WANTED, *_KEPT, *_FURTHER)}
        found.add(path, cells, where=where)
    notes = [f"{pictures} images were converted to PNG before: their window is not the file's own."] if pictures else []
    return found.source(notes)


def _file(folder: Path, image_id: str) -> Path:
    """The image's DICOM file, or its picture where there is no DICOM file."""
    dicom, picture = folder / f"{image_id}.dcm", folder / f"{image_id}.png"
    return picture if picture.is_file() and not dicom.is_file() else dicom
