"""What a person drops - files, folders, archives - into the files to read.

Knows nothing of DICOM: whether a file is a mammogram is found out by reading it.
"""

import csv
import os
import stat
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mammo_core.errors import InputError
from mammo_core.mammogram import Laterality
from mammo_core.projection import assigned_laterality, assigned_view
from mammo_core.settings import Settings

COMPANIONS = frozenset(
    {
        ".csv",
        ".txt",
        ".json",
        ".xml",
        ".html",
        ".htm",
        ".pdf",
        ".md",
        ".log",
        ".ini",
        ".inf",
        ".toml",
        ".png",
        ".jpg",
        ".jpeg",
        ".gif",
        ".bmp",
        ".tif",
        ".tiff",
        ".exe",
        ".dll",
        ".bat",
        ".sh",
        ".css",
        ".js",
    }
)
"""Endings of what lies beside images on a CD or in a data set: passed over without a word."""

CORRECTIONS = "folder.csv"


@dataclass(frozen=True)
class Candidate:
    """A file that may be a mammogram."""

    path: Path
    name: str
    """What the user is shown: the path as given, or ``archive.zip/inner/name``."""


@dataclass(frozen=True)
class Refusal:
    """A file that cannot be used, and why."""

    file: str
    reason: str


@dataclass(frozen=True)
class Assignment:
    """Laterality and view of one file as ``folder.csv`` gives them; None leaves what the file says."""

    laterality: Laterality | None
    view: str | None


class ArchiveLimits(Settings):
    """What an archive may hold: far more than any exam, far less than a disk."""

    members: int = 20_000
    """Most members of one archive."""
    member_mb: int = 1024
    """Largest member once unpacked, in MB."""
    total_mb: int = 16_000
    """All members of one archive once unpacked, in MB."""
    ratio: float = 300.0
    """Largest ratio of unpacked to packed size of a member over 10 MB; plain mammograms reach about 20."""


@contextmanager
def candidates(
    paths: Iterable[Path], limits: ArchiveLimits | None = None
) -> Iterator[tuple[list[Candidate], list[Refusal]]]:
    """Every file to try under the given files, folders and .zip archives, and what was refused on the way.

    Members of archives lie in a temporary folder that is removed when the block ends; their own names are
    never used as paths. DICOMDIR, hidden files and common companions (`COMPANIONS`) are left out without a
    refusal.
    """
    found: list[Candidate] = []
    refused: list[Refusal] = []
    with tempfile.TemporaryDirectory(prefix="mammo-", ignore_cleanup_errors=True) as folder:
        room = _Room(Path(folder), limits or ArchiveLimits())
        for path in paths:
            if path.is_dir():
                for inner in _files_below(path):
                    _add(inner, room, found, refused)
            elif path.exists():
                _add(path, room, found, refused)
            else:
                refused.append(Refusal(str(path), "does not exist"))
        yield found, refused


def _add(path: Path, room: "_Room", found: list[Candidate], refused: list[Refusal]) -> None:
    if not path.is_file():  # asked first: a pipe would make whoever opens it wait for ever
        refused.append(Refusal(str(path), "is not an ordinary file"))
    elif zipfile.is_zipfile(path):
        room.unpack(path, found, refused)
    elif is_companion(path.name):
        return
    else:
        found.append(Candidate(path, str(path)))


def _files_below(folder: Path) -> Iterator[Path]:
    """Files of a folder and its subfolders in order of their names; links to folders are not followed."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX")
        for name in sorted(files):
            path = Path(parent) / name
            if not is_companion(name):
                yield path


def is_companion(name: str) -> bool:
    """Whether a file of this name is passed over without a word."""
    return (
        name.startswith((".", "~$"))
        or name.upper() == "DICOMDIR"
        or name in ("Thumbs.db", "desktop.ini")
        or PurePosixPath(name).suffix.lower() in COMPANIONS
    )


class _Room:
    """The temporary folder that archives are unpacked into, under numbers for names."""

    def __init__(self, folder: Path, limits: ArchiveLimits) -> None:
        self._folder = folder
        self._limits = limits
        self._count = 0

    def unpack(self, archive: Path, found: list[Candidate], refused: list[Refusal]) -> None:
        """Unpack the members worth trying; a broken or oversized archive is refused as a whole."""
        try:
            with zipfile.ZipFile(archive) as opened:
                members = opened.infolist()
                self._check(archive, members)
                for member in members:
                    shown = f"{archive}/{_shown(member.filename)}"
                    if _is_passed_over(member):
                        continue
                    try:
                        found.append(Candidate(self._unpack(opened, member), shown))
                    except InputError as error:
                        refused.append(Refusal(shown, error.reason))
        except InputError as error:
            refused.append(Refusal(str(archive), error.reason))
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as error:
            refused.append(Refusal(str(archive), f"is a damaged archive ({str(error)[:100]})"))

    def _check(self, archive: Path, members: list[zipfile.ZipInfo]) -> None:
        if len(members) > self._limits.members:
            raise InputError(str(archive), f"holds {len(members):,} members, expected at most {self._limits.members:,}")
        total = sum(member.file_size for member in members) / 1e6
        if total > self._limits.total_mb:
            raise InputError(str(archive), f"unpacks to {total:,.0f} MB, expected at most {self._limits.total_mb:,} MB")

    def _unpack(self, opened: zipfile.ZipFile, member: zipfile.ZipInfo) -> Path:
        """Copy one member, no further than it declares; what it declares has been checked."""
        if member.flag_bits & 0x1:
            raise InputError(member.filename, "is encrypted: please unpack the archive with its password first")
        if member.filename.lower().endswith(".zip"):
            raise InputError(member.filename, "is an archive inside an archive, which is not opened")
        if member.file_size > self._limits.member_mb * 1e6:
            shown = f"unpacks to {member.file_size / 1e6:,.0f} MB"
            raise InputError(member.filename, f"{shown}, expected at most {self._limits.member_mb:,} MB")
        if member.file_size > 1e7 and member.file_size > self._limits.ratio * max(member.compress_size, 1):
            shown = f"unpacks to {member.file_size / max(member.compress_size, 1):,.0f} times its size"
            raise InputError(member.filename, f"{shown}, expected at most {self._limits.ratio:g} times")
        self._count += 1
        path = self._folder / f"{self._count:06d}"
        try:
            with opened.open(member) as source, path.open("wb") as copy:
                while block := source.read(1 << 20):  # gives no more than the member declares
                    copy.write(block)
        except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, OSError) as error:
            raise InputError(member.filename, f"cannot be unpacked ({str(error)[:100]})") from error
        except Exception as error:  # zlib, bz2 and lzma raise types of their own
            raise InputError(member.filename, f"is damaged ({str(error)[:100]})") from error
        return path


def _is_passed_over(member: zipfile.ZipInfo) -> bool:
    """Folders, links, companions, and whatever lies in a hidden folder or __MACOSX."""
    parts = PurePosixPath(member.filename.replace("\\", "/")).parts
    hidden = any(part == "__MACOSX" or (part.startswith(".") and part != "..") for part in parts[:-1])
    link = stat.S_ISLNK(member.external_attr >> 16)
    return member.is_dir() or link or hidden or not parts or is_companion(parts[-1])


def _shown(name: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in name)[:300]


def folder_corrections(folder: Path) -> dict[str, Assignment]:
    """What ``folder.csv`` says of a folder's files: relative path with forward slashes -> `Assignment`.

    Columns: ``file``, and ``laterality`` (L or R) or ``view`` or both; an empty cell leaves what the file
    says. Without the file the answer is empty. `InputError` names line, column, value and expectation.
    """
    path = folder / CORRECTIONS
    if not path.is_file():
        return {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as opened:
            rows = list(csv.DictReader(opened, strict=True))
            columns = [*rows[0]] if rows else []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(str(path), f"cannot be read as CSV in UTF-8 ({error})") from error
    wanted = {"file", "laterality", "view"}
    if rows and ("file" not in columns or not {"laterality", "view"} & set(columns) or set(columns) - wanted):
        shown = ", ".join(str(column) for column in columns)
        raise InputError(str(path), f"has the columns {shown}; expected file, laterality, view")
    found: dict[str, Assignment] = {}
    for line, row in enumerate(rows, start=2):
        name = (row["file"] or "").strip().replace("\\", "/")
        if name in found:
            raise InputError(str(path), f"line {line} names {name!r} a second time")
        if not name or ".." in PurePosixPath(name).parts or not (folder / name).is_file():
            raise InputError(str(path), f"line {line} names the file {name!r}, which is not in the folder")
        try:
            found[name] = Assignment(
                assigned_laterality(side) if (side := (row.get("laterality") or "").strip()) else None,
                assigned_view(view) if (view := (row.get("view") or "").strip()) else None,
            )
        except InputError as error:
            raise InputError(str(path), f"line {line}: {error.subject} {error.reason}") from error
    return found
