"""What a data set on disk holds, before any picture is opened: one entry per image, and what was left out.

Knows nothing of how pictures are prepared. Each source turns its own layout and words into these values.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mammo_core.errors import InputError
from mammo_core.intake import Refusal
from mammo_train.table import normal_row


@dataclass(frozen=True)
class SourceImage:
    """One image of a source."""

    path: Path
    """A DICOM file or a picture."""
    name: str
    """What it is called in messages: relative to the source's folder, with forward slashes."""
    row: Mapping[str, str]
    """Its cells in the table, in normal form; ``file`` and ``mask`` are those of the prepared set."""
    said_by: str
    """Where laterality and view come from, such as "train.csv"."""
    mask: Path | None = None
    """A picture of its lesions, in the orientation of ``path`` and of any size; or INbreast's outlines, XML."""
    chest_wall: Literal["left"] | None = None
    """Where the chest wall is known to be in a picture that was turned before; None: it is looked for."""

    @property
    def image_id(self) -> str:
        """Names the image within the set."""
        return self.row["image_id"]


@dataclass(frozen=True)
class Source:
    """A data set."""

    name: str
    folder: Path
    images: tuple[SourceImage, ...]
    refused: tuple[Refusal, ...]
    """Rows without a file, and rows that cannot be used."""
    notes: tuple[str, ...] = ()
    """What everyone who uses the set must know of it."""


class Lister:
    """Gathers the images of a source; a row that cannot be used is refused, and the next one is looked at."""

    def __init__(self, name: str, folder: Path, said_by: str) -> None:
        self._name = name
        self._folder = folder
        self._said_by = said_by
        self._images: list[SourceImage] = []
        self._ids: set[str] = set()
        self._refused: list[Refusal] = []

    def add(
        self,
        path: Path,
        row: Mapping[str, str],
        *,
        where: str,
        mask: Path | None = None,
        chest_wall: Literal["left"] | None = None,
    ) -> None:
        """Add an image. ``where`` says which row of which file speaks, for the message."""
        name = shown_path(path, self._folder)
        try:
            image_id = row["image_id"]
            written = {"file": f"images/{image_id}.png", "mask": f"masks/{image_id}.png" if mask else ""}
            source = row.get("source") or self._name
            normal = normal_row({**row, **written, "source": source, "source_file": name})
        except InputError as error:
            self.refuse(name, f"{where}: {error.subject} {error.reason}")
            return
        if image_id.casefold() in self._ids:
            self.refuse(name, f"{where}: image_id {image_id!r} is named a second time")
        elif not path.is_file():
            self.refuse(name, f"is named by {where}, but is not there")
        else:
            self._ids.add(image_id.casefold())
            self._images.append(SourceImage(path, name, normal, self._said_by, mask, chest_wall))

    def refuse(self, name: str, reason: str) -> None:
        """Leave a file or row out, and say why."""
        self._refused.append(Refusal(name, reason))

    def source(self, notes: Iterable[str] = ()) -> Source:
        """Everything that was gathered; `InputError` where nothing was found."""
        if not self._images and not self._refused:
            raise InputError(str(self._folder), f"holds no image of the data set {self._name}")
        return Source(self._name, self._folder, tuple(self._images), tuple(self._refused), tuple(notes))


def shown_path(path: Path, folder: Path) -> str:
    """A path as messages and the table show it."""
    return (path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix()


def read_rows(path: Path, wanted: Sequence[str], *, delimiter: str = ",") -> list[tuple[str, dict[str, str]]]:
    """Rows of a CSV file as ``("train.csv line 2", cells without surrounding blanks)``.

    Column names are compared in lower case, blanks as "_", and come back like that. Raises `InputError` where
    the file cannot be read or lacks one of the columns ``wanted``.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, delimiter=delimiter, strict=True)
            names = [name.strip().lower().replace(" ", "_") for name in reader.fieldnames or ()]
            reader.fieldnames = names
            rows = [
                (f"{path.name} line {reader.line_num}", {name: (row[name] or "").strip() for name in names})
                for row in reader
            ]
    except FileNotFoundError:
        raise InputError(str(path), "does not exist; expected the table of the data set") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(str(path), f"cannot be read as CSV in UTF-8 ({error})") from error
    missing = [name for name in wanted if name not in names]
    if missing:
        found = ", ".join(names) or "none"
        raise InputError(str(path), f"has no column {', '.join(missing)}; its columns are {found}")
    return rows
