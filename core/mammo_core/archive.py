"""Members of .zip archives: which are worth a try, and one at a time on the disk.

Names of members are shown and never used as paths.
"""

import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from mammo_core.errors import InputError
from mammo_core.scratch import scratch_folder
from mammo_core.settings import Settings


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
    free_mb: int = 1024
    """Left free on the disk that a member is unpacked to, in MB."""


@dataclass(frozen=True)
class Member:
    """One file in an archive, still packed."""

    archive: Path
    info: zipfile.ZipInfo
    name: str
    """``archive.zip/inner/name``, printable."""


class Archives:
    """Opens archives, one at a time, and unpacks their members, one at a time, below ``scratch``."""

    def __init__(self, scratch: Path, limits: ArchiveLimits) -> None:
        """Unpack into a folder of this process below ``scratch``, which is not made before it is needed."""
        self._scratch = scratch
        self._limits = limits
        self._opened: tuple[Path, zipfile.ZipFile] | None = None

    def close(self) -> None:
        """Close the archive that is open."""
        if self._opened is not None:
            self._opened[1].close()
            self._opened = None

    def members(self, archive: Path, name: str) -> list[Member]:
        """Members worth looking at; InputError for an archive that is broken or too large as a whole."""
        try:
            infos = self._zip(archive).infolist()
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as error:
            raise InputError(name, f"is a damaged archive ({str(error)[:100]})") from error
        if len(infos) > self._limits.members:
            raise InputError(name, f"holds {len(infos):,} members, expected at most {self._limits.members:,}")
        total = sum(info.file_size for info in infos) / 1e6
        if total > self._limits.total_mb:
            raise InputError(name, f"unpacks to {total:,.0f} MB, expected at most {self._limits.total_mb:,} MB")
        return [Member(archive, info, f"{name}/{_shown(info.filename)}") for info in infos if not _passed_over(info)]

    def check(self, member: Member) -> None:
        """InputError for a member that is not to be unpacked, by what the archive says of it."""
        info = member.info
        if info.flag_bits & 0x1:
            raise InputError(member.name, "is encrypted: please unpack the archive with its password first")
        if info.filename.lower().endswith(".zip"):
            raise InputError(member.name, "is an archive inside an archive, which is not opened")
        if info.file_size > self._limits.member_mb * 1e6:
            shown = f"unpacks to {info.file_size / 1e6:,.0f} MB"
            raise InputError(member.name, f"{shown}, expected at most {self._limits.member_mb:,} MB")
        if info.file_size > 1e7 and info.file_size > self._limits.ratio * max(info.compress_size, 1):
            shown = f"unpacks to {info.file_size / max(info.compress_size, 1):,.0f} times its size"
            raise InputError(member.name, f"{shown}, expected at most {self._limits.ratio:g} times")

    @contextmanager
    def stream(self, member: Member) -> Iterator[IO[bytes]]:
        """A member's content, no longer than the archive says; InputError where it cannot be unpacked."""
        try:
            with self._zip(member.archive).open(member.info) as stream:
                yield stream
        except InputError:
            raise
        except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, OSError) as error:
            raise InputError(member.name, f"cannot be unpacked ({str(error)[:100]})") from error
        except Exception as error:  # zlib, bz2 and lzma raise types of their own
            raise InputError(member.name, f"is damaged ({str(error)[:100]})") from error

    @contextmanager
    def unpacked(self, member: Member) -> Iterator[Path]:
        """A member as a file of its own for as long as the block lasts; InputError where that cannot be."""
        with self._room_for(member) as path:
            with self.stream(member) as source, path.open("wb") as copy:
                shutil.copyfileobj(source, copy, 1 << 20)
            yield path

    @contextmanager
    def _room_for(self, member: Member) -> Iterator[Path]:
        """A path for a member on a disk with room for it, cleared afterwards; InputError where there is none."""
        try:
            own = scratch_folder(self._scratch)
            free, size = shutil.disk_usage(own).free / 1e6, member.info.file_size / 1e6
            folder = Path(tempfile.mkdtemp(dir=own))
        except OSError as error:
            raise InputError(member.name, f"cannot be unpacked to {self._scratch} ({error.strerror})") from error
        try:
            if free - size < self._limits.free_mb:
                needed = f"needs {size:,.0f} MB and {self._limits.free_mb:,} MB to spare, {free:,.0f} MB are free"
                raise InputError(member.name, f"does not fit on the disk: unpacking it {needed}")
            yield folder / "member"
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):  # other members may be unpacked at the same time
                own.rmdir()

    def _zip(self, archive: Path) -> zipfile.ZipFile:
        if self._opened is None or self._opened[0] != archive:
            self.close()
            self._opened = archive, zipfile.ZipFile(archive)
        return self._opened[1]


def _passed_over(info: zipfile.ZipInfo) -> bool:
    """Folders and links."""
    return info.is_dir() or stat.S_ISLNK(info.external_attr >> 16) or not PurePosixPath(info.filename).parts


def _shown(name: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in name)[:300]
