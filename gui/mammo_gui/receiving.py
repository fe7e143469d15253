"""Files that the page sends, kept on disk until they are added.

Names from outside never become paths: each file is written under a cleaned name, inside its batch's own folder.
"""

import itertools
import re
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from mammo_core.errors import InputError

MAX_FILE_BYTES = 16 << 30
"""An archive of a whole screening day; one mammogram has some tens of megabytes."""
MIN_FREE_BYTES = 1 << 30
"""Left free on the disk, for the system and for the decoded pixels of what is being sent."""
MAX_DEPTH = 12
MAX_NAME = 100

_UNSAFE = re.compile(r"[^\w.() -]", re.ASCII)
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")


class Receiving:
    """The folder of files on their way in, one folder per batch."""

    def __init__(self, folder: Path) -> None:
        """Receive into ``folder``; what an interrupted run left there is deleted."""
        shutil.rmtree(folder, ignore_errors=True)
        self._folder = folder
        self._batches: dict[str, Path] = {}

    async def keep(self, batch: str, name: str, length: int | None, content: AsyncIterator[bytes]) -> None:
        """Write one file of a batch as it arrives; InputError where it is too large for the limits or the disk."""
        self._check_size(name, length or 0)
        written = 0
        try:
            path = self._claim(batch, name)
            with path.open("wb") as stream:
                async for chunk in content:
                    written += len(chunk)
                    if written > (MAX_FILE_BYTES if length is None else min(length, MAX_FILE_BYTES)):
                        raise InputError(name, "is larger than was said or than is accepted")
                    stream.write(chunk)
        except OSError as error:
            raise InputError(name, f"cannot be kept: {error.strerror}") from error

    def finished(self, batch: str) -> Path:
        """The folder of a batch whose files are all there; InputError where nothing of it arrived."""
        folder = self._batches.pop(batch, None)
        if folder is None:
            raise InputError("sent files", "none arrived")
        return folder

    def _claim(self, batch: str, name: str) -> Path:
        """Make an empty file for a name; names that clean up to the same are numbered."""
        parts = safe_parts(name)
        path = self._folder_of(batch).joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        for number in itertools.count(2):
            try:
                path.touch(exist_ok=False)
            except FileExistsError:
                path = path.with_name(f"{number}_{parts[-1]}")
            else:
                break
        return path

    def _folder_of(self, batch: str) -> Path:
        """One folder per batch, named by its time: files of different drops without patient stay apart."""
        if batch not in self._batches:
            arrived = f"{datetime.now(UTC):%Y-%m-%d %H.%M.%S} {batch[:6]}"
            self._batches[batch] = self._folder / arrived
        return self._batches[batch]

    def _check_size(self, name: str, length: int) -> None:
        if length > MAX_FILE_BYTES:
            raise InputError(name, f"has {length:,} bytes; at most {MAX_FILE_BYTES:,} are accepted")
        self._folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(self._folder).free - length < MIN_FREE_BYTES:
            raise InputError(name, "does not fit: the disk of the library is nearly full")


def safe_parts(name: str) -> list[str]:
    """A relative name from outside as path components that are safe on every operating system.

    ``../a/b:c.dcm`` becomes ``["a", "b_c.dcm"]``; folders are kept, because a ``folder.csv`` speaks of its folder.
    """
    parts = [_safe(part) for part in PurePosixPath(name.replace("\\", "/")).parts]
    kept = [part for part in parts if part][-MAX_DEPTH:]
    return kept or ["file"]


def _safe(part: str) -> str:
    cleaned = _UNSAFE.sub("_", part)[-MAX_NAME:].strip(". ")
    if not cleaned.strip("_"):
        return ""
    return f"_{cleaned}" if _RESERVED.fullmatch(cleaned) else cleaned
