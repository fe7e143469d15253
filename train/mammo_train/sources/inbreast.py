"""INbreast (Moreira et al., Academic Radiology 19(2), 2012): 410 images of 108 patients, one machine.

Files are named ``<image>_<patient>_MG_<L|R>_<CC|ML>_ANON``, .dcm or .png, in any folder below; ML means MLO.
``INbreast.csv`` has BI-RADS and ACR composition by the image's number. The label is the radiologist's BI-RADS,
not pathology: 4a to 6 is positive. BI-RADS 3 is negative here; ``birads`` is kept, so that the other convention
can be reported too. Lesions: ``masks/<image>_mask.png``, else the masses of the published ``<image>.xml``.
"""

import re
from pathlib import Path

from mammo_core.errors import InputError
from mammo_train.sources.listing import Lister, Source, read_rows

TABLE = "INbreast.csv"
MACHINE = "MammoNovation"
"""The one machine, by the paper."""

_NAME = re.compile(r"(\d+)_([0-9a-z]+)_MG_(L|R)_([A-Z]+)_ANON\.(dcm|png)", re.IGNORECASE)
_POSITIVE = frozenset({"4", "4a", "4b", "4c", "5", "6"})
_NEGATIVE = frozenset({"1", "2", "3"})
_DENSITY = {"1": "A", "2": "B", "3": "C", "4": "D"}


def listed(folder: Path) -> Source:
    """List the images below ``folder`` by their names; `InputError` where ``INbreast.csv`` is missing."""
    said = {row["file_name"]: (where, row) for where, row in read_rows(folder / TABLE, _WANTED, delimiter=";")}
    found = Lister("inbreast", folder, "file name")
    files = _files(folder)
    masks = {path.name.split("_")[0]: path for path in sorted(folder.rglob("*_mask.png"))}
    outlines = {path.stem: path for path in sorted(folder.rglob("*.xml"))}
    for image_id in sorted(files.keys() | said.keys(), key=lambda number: (len(number), number)):
        if image_id not in said:
            found.refuse(files[image_id].name, f"is not in {TABLE}")
        elif image_id not in files:
            found.refuse(image_id, f"is named by {said[image_id][0]}, but has no file")
        else:
            where, row = said[image_id]
            try:
                cells = _cells(files[image_id], row)
            except InputError as error:
                found.refuse(files[image_id].name, f"{where}: {error}")
                continue
            found.add(files[image_id], cells, where=where, mask=masks.get(image_id, outlines.get(image_id)))
    return found.source(["Labels are BI-RADS, not pathology: 4a to 6 is positive, 3 is negative (column birads)."])


_WANTED = ("file_name", "bi-rads", "acr", "laterality", "view")


def _files(folder: Path) -> dict[str, Path]:
    """Image number -> file; DICOM before a picture of the same number."""
    named = [(match[1], path) for path in sorted(folder.rglob("*")) if (match := _NAME.fullmatch(path.name))]
    return dict(sorted(named, key=lambda pair: pair[1].suffix.lower() == ".dcm"))


def _cells(path: Path, row: dict[str, str]) -> dict[str, str]:
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise AssertionError(path)
    number, patient, side, view = match[1], match[2], match[3].upper(), match[4].upper()
    view = "MLO" if view == "ML" else view
    if row["laterality"].upper() != side or row["view"].upper() not in (view, match[4].upper()):
        said = f"{row['laterality']} {row['view']}"
        raise InputError("laterality and view", f"are {said} in the table, but {side} {view} in the file name")
    birads = row["bi-rads"].lower()
    if birads not in _POSITIVE | _NEGATIVE:
        raise InputError("Bi-Rads", f"is {row['bi-rads']!r}, expected 1, 2, 3, 4a, 4b, 4c, 5 or 6")
    return {
        "image_id": number,
        "patient_id": patient,
        "laterality": side,
        "view": view,
        "cancer": str(int(birads in _POSITIVE)),
        "density": _DENSITY.get(row["acr"], ""),
        "site_id": "INbreast",
        "machine_id": MACHINE,
        "birads": birads,
    }
