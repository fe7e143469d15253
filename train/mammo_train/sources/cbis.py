"""CBIS-DDSM (Lee et al., Scientific Data 4, 2017): digitised film with masses or calcifications, proved by pathology.

Its description CSVs have one row per abnormality: rows of one image are merged, and an image is positive where one
of its abnormalities is malignant. There is no image of a healthy breast. The images are found in the layout of The
Cancer Imaging Archive (a folder named like ``Mass-Training_P_00001_LEFT_CC`` with one DICOM file somewhere below),
or as ``Mass-Training_P_00001_LEFT_CC_FULL___PRE.png``, squares whose chest wall was turned to the left.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from mammo_core.errors import InputError
from mammo_train.sources.listing import Lister, Source, read_rows

TABLES = tuple(f"{kind}_case_description_{part}_set.csv" for kind in ("mass", "calc") for part in ("train", "test"))
SQUARE_ENDING = "_FULL___PRE.png"
_WANTED = ("patient_id", "left_or_right_breast", "image_view", "abnormality_type", "pathology", "image_file_path")
_FOLDER = re.compile(r"(?:Mass|Calc)-(Training|Test)_P_\d+_(?:LEFT|RIGHT)_(?:CC|MLO)")
_DENSITY = {"1": "A", "2": "B", "3": "C", "4": "D"}
_MALIGNANT = "MALIGNANT"
_PATHOLOGIES = frozenset({_MALIGNANT, "BENIGN", "BENIGN_WITHOUT_CALLBACK"})
_Row = tuple[str, dict[str, str]]


def listed(folder: Path) -> Source:
    """List the images that any of the four description CSVs names; `InputError` where there is none."""
    tables = [folder / name for name in TABLES if (folder / name).is_file()]
    if not tables:
        raise InputError(str(folder), f"has none of {', '.join(TABLES)}")
    images: dict[str, list[_Row]] = {}
    found = Lister("cbis", folder, "description CSV")
    for table in tables:
        for where, row in read_rows(table, _WANTED):
            image_id = row["image_file_path"].split("/")[0]
            if _FOLDER.fullmatch(image_id):
                images.setdefault(image_id, []).append((where, row))
            else:
                found.refuse(row["image_file_path"], f"{where}: expected a path like Mass-Training_P_00001_LEFT_CC/...")
    files = _files(folder)
    kinds = {image_id.split("-")[0] for image_id in files}
    for image_id, rows in sorted(images.items()):
        path = files.get(image_id)
        if path is None:
            # a table whose whole kind was not copied says nothing of a single file
            if image_id.split("-")[0] in kinds:
                found.refuse(image_id, f"is named by {rows[0][0]}, but has no file")
            continue
        try:
            cells = _cells(image_id, rows)
        except InputError as error:
            found.refuse(image_id, f"{rows[0][0]}: {error}")
            continue
        found.add(path, cells, where=rows[0][0], chest_wall="left" if path.name.endswith(SQUARE_ENDING) else None)
    return found.source(_notes(files, images))


def _files(folder: Path) -> dict[str, Path]:
    """Image -> its file: a square picture by its name, or the DICOM file below a folder of its name."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() == ".dcm":
            named = [parent.name for parent in path.parents if _FOLDER.fullmatch(parent.name)]
            if named:
                found[named[0]] = path
        elif path.name.endswith(SQUARE_ENDING):
            found.setdefault(path.name.removesuffix(SQUARE_ENDING), path)
    return found


def _cells(image_id: str, rows: list[_Row]) -> dict[str, str]:
    """The rows of one image's abnormalities as one row of the table."""
    first = rows[0][1]
    for name in ("patient_id", "left_or_right_breast", "image_view"):
        values = {row[name] for _, row in rows}
        if len(values) > 1:
            raise InputError(name, f"is contradictory for {image_id}: {', '.join(sorted(values))}")
    pathologies = [row["pathology"] for _, row in rows]
    for pathology in pathologies:
        if pathology not in _PATHOLOGIES:
            raise InputError("pathology", f"is {pathology!r}, expected one of {', '.join(sorted(_PATHOLOGIES))}")
    match = _FOLDER.fullmatch(image_id)
    return {
        "image_id": image_id,
        "patient_id": first["patient_id"],
        "laterality": first["left_or_right_breast"],
        "view": first["image_view"],
        "cancer": str(int(_MALIGNANT in pathologies)),
        "density": _DENSITY.get(first.get("breast_density", ""), ""),
        "site_id": "CBIS-DDSM",
        "published_part": "train" if match and match[1] == "Training" else "test",
        "lesion_type": _joined(row["abnormality_type"] for _, row in rows),
        "lesion_malignant": ";".join(str(int(pathology == _MALIGNANT)) for pathology in pathologies),
        "birads": _joined(row.get("assessment", "") for _, row in rows),
        "subtlety": _joined(row.get("subtlety", "") for _, row in rows),
    }


def _joined(values: Iterable[str]) -> str:
    """One value for each abnormality, joined by ";"."""
    return ";".join(values)


def _notes(files: dict[str, Path], images: dict[str, list[_Row]]) -> list[str]:
    notes = ["Every image has an abnormality, benign or malignant: there is no healthy breast in this set."]
    squares = sum(path.name.endswith(SQUARE_ENDING) for path in files.values())
    if squares:
        notes.append(
            f"{squares} images were turned chest wall left and stretched to squares before:"
            " their proportions are not the breast's, and models of other sets see them distorted."
        )
    parts: dict[str, set[str]] = {"Training": set(), "Test": set()}
    for image_id, rows in images.items():
        if image_id in files:
            parts["Training" if "-Training_" in image_id else "Test"].add(rows[0][1]["patient_id"])
    shared = parts["Training"] & parts["Test"]
    if shared:
        notes.append(f"{len(shared)} patients are in both published parts, for example {min(shared)}.")
    return notes
