"""Files that are whole or absent: atomic writes, content hashes, a content-addressed store.

Knows nothing of what the bytes mean.
"""

import hashlib
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mammo_core.errors import InputError

_CHUNK = 1 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")


def private_folder(folder: Path) -> None:
    """Make a folder that no other user of the machine looks into, for exams are health data.

    A folder that is there already keeps the permissions that its owner gave it. OSError where it cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def write_atomic(path: Path, data: bytes) -> None:
    """Write ``data`` so that ``path`` holds either its old content or all of the new, even after a power cut.

    The folder is made if need be. A temporary file beside ``path`` is flushed to the disk, then renamed over
    it.
    """
    with _temporary(path.parent, [data]) as (temporary, _):
        temporary.replace(path)
    _sync_folder(path.parent)


def chunks_of(path: Path) -> Iterator[bytes]:
    """A file's content, a piece at a time: never all of it in memory."""
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, as 64 lower-case hex digits."""
    digest = hashlib.sha256()
    for chunk in chunks_of(path):
        digest.update(chunk)
    return digest.hexdigest()


def store_path(root: Path, sha256: str, suffix: str = "") -> Path:
    """Where the content with this hash lives in the store: ``root/ab/abcd...suffix``.

    Raises InputError if ``sha256`` is not 64 lower-case hex digits, so that nothing else ever names a file.
    """
    if not _SHA256.fullmatch(sha256):
        raise InputError("content hash", f"{sha256!r} is not 64 lower-case hex digits")
    return root / sha256[:2] / f"{sha256}{suffix}"


class Staged:
    """Content that lies in the store under no name yet; its hash is known."""

    def __init__(self, root: Path, temporary: Path, sha256: str) -> None:
        self.root = root
        self.sha256 = sha256
        self._temporary = temporary

    def keep(self) -> None:
        """Give the content its name; content that is there already is left alone."""
        path = store_path(self.root, self.sha256)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._temporary.replace(path)
            _sync_folder(path.parent)


@contextmanager
def staged(root: Path, chunks: Iterable[bytes]) -> Iterator[Staged]:
    """Write content of any length into the store, to be kept inside the block, else deleted after it.

    The slow part comes before `Staged.keep`, so that nobody waits who holds a lock around that.
    """
    with _temporary(root, chunks) as (temporary, sha256):
        yield Staged(root, temporary, sha256)


def store_put(root: Path, data: bytes, suffix: str = "") -> str:
    """Put bytes into the store and return their SHA-256; content that is there already is left alone."""
    sha256 = hashlib.sha256(data).hexdigest()
    path = store_path(root, sha256, suffix)
    if not path.exists():
        write_atomic(path, data)
    return sha256


def store_get(root: Path, sha256: str, suffix: str = "") -> bytes:
    """Read bytes back from the store; InputError if they are missing or no longer match their hash."""
    path = store_path(root, sha256, suffix)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"stored content {sha256}", "is not in the store") from None
    if hashlib.sha256(data).hexdigest() != sha256:
        raise InputError(f"stored content {sha256}", "was changed on the disk: its hash no longer matches")
    return data


@contextmanager
def _temporary(folder: Path, chunks: Iterable[bytes]) -> Iterator[tuple[Path, str]]:
    """A file in ``folder`` with this content, safe on the disk, and its SHA-256; gone afterwards unless renamed."""
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=".writing-")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            for chunk in chunks:
                digest.update(chunk)
                stream.write(chunk)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o644)
        yield temporary, digest.hexdigest()
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make a rename durable; Windows has no such call and needs none."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
