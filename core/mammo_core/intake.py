"""What a person drops - files, folders, archives - into the files to read.

Knows nothing of DICOM: whether a file is a mammogram is found out by reading it.
"""

import os
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mammo_core.archive import ArchiveLimits, Archives, Member
from mammo_core.corrections import CORRECTIONS, Assignment, Table, assignments, key_of, read_table
from mammo_core.errors import InputError

_TEXTS = frozenset({".csv", ".txt", ".json", ".xml", ".html", ".htm", ".pdf", ".md", ".log", ".ini", ".inf", ".toml"})
_PICTURES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff"})
_PROGRAMS = frozenset({".exe", ".dll", ".bat", ".sh", ".css", ".js"})
COMPANIONS = _TEXTS | _PICTURES | _PROGRAMS
"""Endings of what lies beside images on a CD or in a data set: passed over without a word."""


@dataclass(frozen=True)
class Given:
    """A file or folder that is shown under a name of its own, wherever it lies."""

    path: Path
    name: str


@dataclass(frozen=True)
class Candidate:
    """A file that may be a mammogram."""

    name: str
    """What the user is shown: the path as given, or ``archive.zip/inner/name``."""
    said: Assignment | None
    """What the nearest ``folder.csv`` says of it."""
    _source: Path | Member
    _archives: Archives

    @contextmanager
    def opened(self) -> Iterator[Path]:
        """Where it lies on the disk for as long as the block lasts; InputError where it cannot be unpacked."""
        if isinstance(self._source, Path):
            yield self._source
        else:
            with self._archives.unpacked(self._source) as path:
                yield path


@dataclass(frozen=True)
class Refusal:
    """A file that cannot be used, and why."""

    file: str
    reason: str


@contextmanager
def candidates(
    given: Iterable[Path | Given], scratch: Path, limits: ArchiveLimits | None = None
) -> Iterator[tuple[list[Candidate], list[Refusal]]]:
    """Every file to try under the given files, folders and .zip archives, and what was refused on the way.

    Members of archives are unpacked one at a time, below ``scratch``, while a candidate is `Candidate.opened`;
    their own names are never used as paths. DICOMDIR, hidden files and common companions (`COMPANIONS`) are left
    out without a refusal. A ``folder.csv`` speaks of the files beside it and below; for a path to a single file,
    one beside it counts too.
    """
    archives = Archives(scratch, limits or ArchiveLimits())
    gathering = _Gathering(archives)
    for each in given:
        gathering.add(each)
    try:
        yield gathering.found(), gathering.refused
    finally:
        archives.close()


class _Gathering:
    """What has been found so far."""

    def __init__(self, archives: Archives) -> None:
        self.refused: list[Refusal] = []
        self._archives = archives
        self._sources: list[tuple[str, Path | Member]] = []
        self._tables: dict[str, Table] = {}
        self._names: set[str] = set()
        """`key_of` every file that was met, also of those that are passed over."""

    def add(self, given: Path | Given) -> None:
        """Look at one file, or at a folder with everything below it."""
        path, name = (given.path, given.name) if isinstance(given, Given) else (given, str(given))
        if path.is_dir():
            for inner in _files_below(path):
                self._add_file(inner, str(inner) if path == given else f"{name}/{inner.relative_to(path).as_posix()}")
        elif not path.exists():
            self.refused.append(Refusal(name, "does not exist"))
        elif isinstance(given, Given) and _lies_hidden(name):
            return
        else:
            self._add_file(path, name)
            if isinstance(given, Path):
                self._add_table_beside(path)

    def found(self) -> list[Candidate]:
        """The candidates, with what tables say of them; lines that cannot be followed are refused."""
        # A table on the disk may also speak of files that were not given.
        said, errors = assignments(self._tables.values(), lambda name: name in self._names or Path(name).is_file())
        self.refused += [Refusal(error.subject, error.reason) for error in errors]
        return [Candidate(name, said.get(key_of(name)), source, self._archives) for name, source in self._sources]

    def _add_file(self, path: Path, name: str) -> None:
        self._names.add(key_of(name))
        if _is_passed_over(name):
            return
        if not path.is_file():  # asked first: a pipe would make whoever opens it wait for ever
            self.refused.append(Refusal(name, "is not an ordinary file"))
        elif _last(name) == CORRECTIONS:
            self._add_table(name, path)
        elif zipfile.is_zipfile(path):
            self._add_members(path, name)
        else:
            self._sources.append((name, path))

    def _add_table_beside(self, path: Path) -> None:
        table = path.parent / CORRECTIONS
        if table.is_file():
            self._add_table(str(table), table)

    def _add_table(self, name: str, source: Path | Member) -> None:
        if name in self._tables:
            return
        try:
            if isinstance(source, Member):
                with self._archives.stream(source) as stream:
                    self._tables[name] = read_table(name, stream)
            else:
                with source.open("rb") as opened:
                    self._tables[name] = read_table(name, opened)
        except InputError as error:
            self.refused.append(Refusal(name, error.reason))
        except OSError as error:
            self.refused.append(Refusal(name, f"cannot be read ({error.strerror})"))

    def _add_members(self, path: Path, name: str) -> None:
        """Members of an archive worth trying; a broken or oversized archive is refused as a whole."""
        try:
            members = self._archives.members(path, name)
        except InputError as error:
            self.refused.append(Refusal(name, error.reason))
            return
        for member in members:
            inner = member.name.removeprefix(f"{name}/")
            if _lies_hidden(inner) or _is_passed_over(inner):
                continue
            self._names.add(key_of(member.name))
            try:
                self._archives.check(member)
            except InputError as error:
                self.refused.append(Refusal(member.name, error.reason))
                continue
            if _last(inner) == CORRECTIONS:
                self._add_table(member.name, member)
            else:
                self._sources.append((member.name, member))


def _files_below(folder: Path) -> Iterator[Path]:
    """Files of a folder and its subfolders in order of their names; links to folders are not followed."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _is_hidden_folder(name))
        for name in sorted(files):
            yield Path(parent) / name


def _is_passed_over(name: str) -> bool:
    """Whether a file of this name is passed over without a word."""
    last = _last(name)
    return last != CORRECTIONS and (
        last.startswith((".", "~$"))
        or last.upper() == "DICOMDIR"
        or last in ("Thumbs.db", "desktop.ini")
        or PurePosixPath(last).suffix.lower() in COMPANIONS
    )


def _last(name: str) -> str:
    return key_of(name).rsplit("/", 1)[-1]


def _lies_hidden(name: str) -> bool:
    """Whether a file lies in a folder that is passed over."""
    return any(_is_hidden_folder(part) for part in key_of(name).split("/")[:-1])


def _is_hidden_folder(name: str) -> bool:
    return name == "__MACOSX" or (name.startswith(".") and name not in (".", ".."))
