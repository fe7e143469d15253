"""Any folder with a table: one CSV file, and the DICOM or PNG files that it names.

The table needs the columns ``file, patient_id, laterality, view, cancer``. ``image_id`` (else made from the file's
path), ``age, density, implant, site_id, machine_id`` and ``mask`` (a PNG of the lesions in the file's orientation)
are understood, and every other column is kept.
"""

import re
from pathlib import Path, PurePosixPath

from mammo_core.errors import InputError
from mammo_train.sources.listing import Lister, Source, read_rows

_WANTED = ("file", "patient_id", "laterality", "view", "cancer")


def listed(folder: Path) -> Source:
    """List what the folder's table names; `InputError` where there is no table, or more than one."""
    table = _table(folder)
    found = Lister("folder", folder, table.name)
    for where, row in read_rows(table, _WANTED):
        name, mask = row["file"].replace("\\", "/"), row.get("mask", "").replace("\\", "/")
        outside = [value for value in (name, mask) if _leads_out(value)]
        if outside or not name:
            found.refuse(name, f"{where}: file and mask must lie in the folder, expected a relative path")
        elif mask and not (folder / mask).is_file():
            found.refuse(name, f"{where}: its mask {mask} is not there")
        else:
            cells = {**row, "image_id": row.get("image_id") or _id_of(name)}
            found.add(folder / name, cells, where=where, mask=folder / mask if mask else None)
    return found.source()


def _table(folder: Path) -> Path:
    tables = sorted(folder.glob("*.csv"))
    if len(tables) != 1:
        named = ", ".join(table.name for table in tables) or "none"
        expected = f"expected one, with the columns {', '.join(_WANTED)}"
        raise InputError(str(folder), f"has {len(tables)} CSV files ({named}); {expected}")
    return tables[0]


def _leads_out(name: str) -> bool:
    path = PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts or bool(re.match(r"[A-Za-z]:", name))


def _id_of(name: str) -> str:
    """The path without its ending, as a name: what may not stand in one becomes "_"."""
    stem = str(PurePosixPath(name).with_suffix(""))
    return re.sub(r"[^A-Za-z0-9._-]", "_", stem).lstrip(".") or "_"
