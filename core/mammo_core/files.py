"""Files that are whole or absent: atomic writes, content hashes, a content-addressed store.

Knows nothing of what the bytes mean.
"""

import hashlib
import os
import re
import tempfile
from pathlib import Path

from mammo_core.errors import InputError

_CHUNK = 1 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")


def write_atomic(path: Path, data: bytes) -> None:
    """Write ``data`` so that ``path`` holds either its old content or all of the new, even after a power cut.

    The folder is made if need be. A temporary file beside ``path`` is flushed to the disk, then renamed over
    it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, as 64 lower-case hex digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def store_path(root: Path, sha256: str, suffix: str = "") -> Path:
    """Where the content with this hash lives in the store: ``root/ab/abcd...suffix``.

    Raises InputError if ``sha256`` is not 64 lower-case hex digits, so that nothing else ever names a file.
    """
    if not _SHA256.fullmatch(sha256):
        raise InputError("content hash", f"{sha256!r} is not 64 lower-case hex digits")
    return root / sha256[:2] / f"{sha256}{suffix}"


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


def _sync_folder(folder: Path) -> None:
    """Make a rename durable; Windows has no such call and needs none."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
