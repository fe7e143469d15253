"""Files that the page sends, kept on disk until they are added.

Names from outside never become paths: files are numbered, and the names that the page gave them stand beside them.
A batch is whole once those names are written down; what was whole outlives the process that received it.
"""

import contextlib
import json
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from mammo_core.errors import InputError
from mammo_core.files import write_atomic
from mammo_core.intake import Given
from mammo_core.scratch import scratch_folder

MAX_FILE_BYTES = 16 << 30
"""An archive of a whole screening day; one mammogram has some tens of megabytes."""
MIN_FREE_BYTES = 1 << 30
"""Left free on the disk, for the system and for the decoded pixels of what is being sent."""

_CONTENTS = "contents.json"


@dataclass(frozen=True)
class Received:
    """A batch that is here as a whole. ``folder`` is deleted by whoever has dealt with it."""

    batch: str
    folder: Path
    arrived: str
    """When, and part of the batch's name: files of different drops that name no patient stay apart by it."""
    names: dict[str, str]
    """File in the folder -> the name that the page gave it."""

    @property
    def files(self) -> list[Given]:
        """The files with their own names, below the batch's."""
        return [Given(self.folder / file, f"{self.arrived}/{name}") for file, name in self.names.items()]

    def own_name(self, name: str) -> str:
        """A name of ``files`` as the user knows it."""
        return name.removeprefix(f"{self.arrived}/")


class Receiving:
    """The folder of files on their way in, one folder per batch."""

    def __init__(self, folder: Path) -> None:
        """Receive into ``folder``, which other processes may use too; take over what those that ended left."""
        self.taken_over: list[Received] = []
        self.lost = 0
        """Batches that had not arrived as a whole when the process that received them ended."""
        self._folder = scratch_folder(folder, self._take_over)
        self._batches: dict[str, Received] = {}

    async def keep(self, batch: str, name: str, length: int | None, content: AsyncIterator[bytes]) -> None:
        """Write one file of a batch as it arrives; InputError where it is too large for the limits or the disk.

        A file that breaks off, or is shorter than its ``length`` in bytes, is not kept.
        """
        name = plain_name(name)
        self._check_size(name, length or 0)
        try:
            received = self._batch(batch)
            number = f"{int(max(received.names, default='0')) + 1:06d}"
            received.names[number] = name
            part = received.folder / f"{number}.part"
            try:
                await _write(part, name, length, content)
                part.rename(received.folder / number)
            except BaseException:
                del received.names[number]
                part.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise InputError(name, f"cannot be kept: {error.strerror}") from error

    def finished(self, batch: str) -> Received:
        """A batch whose files are all there; InputError where nothing of it arrived."""
        received = self._batches.pop(batch, None)
        if received is None or not received.names:
            raise InputError("sent files", "none arrived")
        try:
            contents = json.dumps({"arrived": received.arrived, "names": received.names})
            write_atomic(received.folder / _CONTENTS, contents.encode())
        except OSError as error:
            raise InputError("sent files", f"cannot be kept: {error.strerror}") from error
        return received

    def _batch(self, batch: str) -> Received:
        if batch not in self._batches:
            folder = self._folder / batch
            folder.mkdir()
            self._batches[batch] = Received(batch, folder, f"{datetime.now(UTC):%Y-%m-%d %H.%M.%S} {batch[:6]}", {})
        return self._batches[batch]

    def _check_size(self, name: str, length: int) -> None:
        if length > MAX_FILE_BYTES:
            raise InputError(name, f"has {length:,} bytes; at most {MAX_FILE_BYTES:,} are accepted")
        if shutil.disk_usage(self._folder).free - length < MIN_FREE_BYTES:
            raise InputError(name, "does not fit: the disk of the library is nearly full")

    def _take_over(self, left: Path, own: Path) -> None:
        """Move the whole batches of a process that is gone into our own folder, and count the others."""
        for folder in sorted(left.iterdir()):
            if not (folder / _CONTENTS).is_file():
                self.lost += 1
                continue
            # Another process that starts at this moment may have been first.
            with contextlib.suppress(OSError):
                moved = folder.rename(own / folder.name)
                contents = json.loads((moved / _CONTENTS).read_text(encoding="utf-8"))
                self.taken_over.append(Received(folder.name, moved, contents["arrived"], contents["names"]))


async def _write(path: Path, name: str, length: int | None, content: AsyncIterator[bytes]) -> None:
    written = 0
    with path.open("wb") as stream:
        async for chunk in content:
            written += len(chunk)
            if written > (MAX_FILE_BYTES if length is None else min(length, MAX_FILE_BYTES)):
                raise InputError(name, "is larger than was said or than is accepted")
            stream.write(chunk)
    if length is not None and written < length:
        raise InputError(name, f"broke off after {written:,} of {length:,} bytes; send it again")


def plain_name(name: str) -> str:
    r"""A name from outside as a relative path with forward slashes, for showing and for ``folder.csv``.

    ``C:\exam\..\a.dcm`` becomes ``C:/exam/a.dcm``; characters that cannot be printed become question marks.
    """
    printable = "".join(character if character.isprintable() else "?" for character in name.replace("\\", "/"))
    return "/".join(part for part in PurePosixPath(printable).parts if part not in {"/", "..", "."}) or "file"
