"""Prepared sets in the folders that are allowed: which there are, what they hold, how a recipe would divide them.

Knows nothing of jobs. A path that a page names is looked at only when it lies in an allowed folder.
"""

import json
import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import cv2
import numpy as np

from mammo_core.errors import InputError
from mammo_core.files import write_atomic

if TYPE_CHECKING:
    import pandas as pd

    from mammo_train.prepared_set import PreparedSet
    from mammo_train.split import SplitSettings

_DEPTH = 3
"""How far below an allowed folder prepared sets are looked for; deeper ones are registered."""
_FOLDERS = 200
"""Folders that are offered to be picked."""
_PICTURES = 6
_PICTURE_ROWS = 160
"""Height of a picture that shows what a set looks like, in pixels."""
_REMEMBERED = 64
_MAY_BE_EMPTY = ("age", "density", "implant", "site_id", "machine_id")
"""Columns of a table whose cells may be empty."""
Found = TypeVar("Found")


@dataclass(frozen=True)
class PartFacts:
    """One part of a split."""

    part: str
    patients: int
    breasts: int
    positives: int
    """Breasts with a cancer."""


@dataclass(frozen=True)
class SetFacts:
    """What a prepared set holds."""

    folder: Path
    images: int
    breasts: int
    patients: int
    positives: int
    """Breasts with a cancer."""
    size: str
    sources: tuple[str, ...]
    views: tuple[tuple[str, int], ...]
    machines: tuple[tuple[str, int], ...]
    missing: tuple[tuple[str, int], ...]
    """Columns with empty cells, and how many."""
    parts: tuple[PartFacts, ...]
    """As the recipe divides it; none where it cannot be divided so."""
    pictures: tuple[int, ...]
    """Rows of the table that are shown."""


class Sets:
    """The prepared sets that may be trained on. Safe to share between threads."""

    def __init__(self, own: Path, roots: Sequence[Path]) -> None:
        """``own`` is where sets are made; ``roots`` are folders below which others may lie."""
        self.own = own
        self._roots = (own.resolve(), *(root.resolve() for root in roots))
        self._registered = own / "registered.json"
        self._lock = threading.Lock()
        self._opened: dict[tuple[Path, int], PreparedSet] = {}
        self._known: dict[Hashable, object] = {}

    def all(self) -> tuple[Path, ...]:
        """Every prepared set below an allowed folder, sorted."""
        found = []
        for root in self._roots:
            for depth in range(_DEPTH):
                found += [path.parent for path in root.glob("*/" * depth + "prepared.json")]
        found += [path for path in self._named() if (path / "prepared.json").is_file()]
        return tuple(sorted(set(found)))

    def folders(self) -> tuple[Path, ...]:
        """Folders in which a data set may lie, to be picked from: the allowed ones and what is in them."""
        found = [root for root in self._roots[1:] if root.is_dir()]
        found += [path for root in found for path in sorted(root.iterdir()) if path.is_dir()]
        return tuple(found[:_FOLDERS])

    def inside(self, text: str) -> Path:
        """A folder or file that a page names; InputError where it is outside the allowed folders, or not there."""
        path = Path(text)
        # Whatever is outside is answered alike, there or not.
        whole = path.resolve() if path.is_absolute() and "\0" not in text else None
        if whole is None or not any(whole.is_relative_to(root) for root in self._roots):
            allowed = ", ".join(map(str, self._roots[1:])) or "none; start the app with --data FOLDER"
            raise InputError(text[:200] or "folder", f"is not below a folder that is allowed ({allowed})")
        if not whole.exists():
            raise InputError(text[:200], "does not exist")
        return whole

    def register(self, text: str) -> Path:
        """Know a prepared set that lies too deep to be found; InputError where there is none."""
        folder = self.inside(text)
        if not (folder / "prepared.json").is_file():
            raise InputError(text[:200], "holds no prepared set: prepared.json is missing; prepare it first")
        self.own.mkdir(parents=True, exist_ok=True)
        known = [str(path) for path in self._named()]
        write_atomic(self._registered, json.dumps([*dict.fromkeys([*known, str(folder)])]).encode())
        return folder

    def open(self, folder: str) -> "PreparedSet | None":
        """Open a set; None where it is not allowed, being made, or gone."""
        from mammo_train.prepared_set import open_prepared

        path = Path(folder)
        if not folder or path not in self.all():
            return None
        with self._lock:
            try:
                key = (path, (path / "table.csv").stat().st_mtime_ns)
                if key not in self._opened:
                    self._opened[key] = open_prepared(path)
                return self._opened[key]
            except (InputError, OSError):
                return None

    def known(self, data: "PreparedSet", what: Callable[..., Found], *about: object) -> Found:
        """Work something out about an opened set; what was worked out lately is remembered: pages ask all the time.

        ``about`` is what it depends on besides the set; a file that is named in it may have changed meanwhile.
        """
        key = (id(data), what, about, tuple(map(_changed, about)))
        with self._lock:
            if key in self._known:
                return cast("Found", self._known[key])
        found = what(data, *about)
        with self._lock:
            self._known[key] = found
            for old in list(self._known)[:-_REMEMBERED]:
                del self._known[old]
        return found

    def picture(self, folder: str, row: int) -> bytes:
        """A small picture of one row as PNG; InputError where there is none."""
        data = self.open(folder)
        if data is None or not 0 <= row < len(data.table):
            raise InputError("picture", "is not there")
        pixels = data.image(row)
        shown = np.clip(pixels / (257.0 if pixels.dtype == np.uint16 else 1.0), 0, 255).astype(np.uint8)
        width = max(1, round(shown.shape[1] * _PICTURE_ROWS / shown.shape[0]))
        small = cv2.resize(shown, (width, _PICTURE_ROWS), interpolation=cv2.INTER_AREA)
        return bytes(cv2.imencode(".png", small)[1])

    def _named(self) -> list[Path]:
        """What was registered and is still allowed."""
        try:
            listed = json.loads(self._registered.read_bytes())
            return [path for path in map(Path, listed) if any(path.is_relative_to(root) for root in self._roots)]
        except (OSError, ValueError, TypeError):
            return []


def facts_of(data: "PreparedSet", split: "SplitSettings | None") -> SetFacts:
    """Sum up a set, and its parts as ``split`` divides it."""
    table = data.table
    breasts = table.groupby(["patient_id", "laterality"])["cancer"].any()
    views = table["view"].value_counts()
    machines = table["machine_id"].astype(str).value_counts()
    return SetFacts(
        folder=data.folder,
        images=len(table),
        breasts=len(breasts),
        patients=int(table["patient_id"].nunique()),
        positives=int(breasts.sum()),
        size=f"{data.inputs.height} x {data.inputs.width}",
        sources=tuple(sorted(set(table["source"].astype(str)) - {""})),
        views=tuple((str(view) or "not stated", int(count)) for view, count in views.items()),
        machines=tuple((str(name) or "not stated", int(count)) for name, count in machines.items()),
        missing=tuple((name, count) for name in _MAY_BE_EMPTY if (count := _empty(table[name]))),
        parts=() if split is None else _parts(data, split),
        pictures=_pictures(data),
    )


def _empty(cells: "pd.Series") -> int:
    """Unknown cells of a column: numbers that are none, or text without a character."""
    return int((cells.isna() | (cells == "")).sum())


def _changed(about: object) -> int:
    """When the file that divides a set was written; 0 where there is none."""
    named = getattr(about, "file", "")
    try:
        return Path(named).stat().st_mtime_ns if named else 0
    except OSError:
        return 0


def _parts(data: "PreparedSet", settings: "SplitSettings") -> tuple[PartFacts, ...]:
    from mammo_train.split import make_split

    try:
        split = make_split(data.table, settings)
    except InputError:
        return ()
    found = []
    for part in split.parts():
        table = data.table.iloc[split.rows(data.table, part)]
        breasts = table.groupby(["patient_id", "laterality"])["cancer"].any()
        found.append(PartFacts(part, int(table["patient_id"].nunique()), len(breasts), int(breasts.sum())))
    return tuple(found)


def _pictures(data: "PreparedSet") -> tuple[int, ...]:
    """Rows from all over the table, every other one with a cancer as far as there are any."""
    cancer = data.table["cancer"].to_numpy(bool)
    rows = []
    for kind in (cancer, ~cancer):
        there = np.flatnonzero(kind)
        rows.append(there[np.linspace(0, len(there) - 1, min(len(there), _PICTURES // 2)).astype(int)])
    return tuple(int(row) for row in np.sort(np.concatenate(rows)))
