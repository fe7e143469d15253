"""Decoding in a child process, so that no file can take the application down.

A file may make a decoder crash, loop or swallow memory. The child has a memory cap, the parent a wall clock;
a child that dies or is killed becomes an `InputError`, and the next file gets a new one. Header and pixels
come back through a pipe as JSON and raw bytes, never pickled. Run as ``python -m mammo_core.sandbox`` this
module is the child.
"""

import json
import os
import queue
import struct
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple, Self

import numpy as np
import psutil
from numpy.typing import NDArray

from mammo_core.errors import InputError
from mammo_core.header_json import header_from_json, header_to_json
from mammo_core.limits import Limits
from mammo_core.mammogram import Mammogram

START_SECONDS = 120.0
"""How long a child may take to import its decoders, on a cold disk."""

_POLL_SECONDS = 0.05
_LONGEST_MESSAGE = 8_000_000
"""Bytes of JSON in one message: a header with as many VOI tables as are kept has 1.5 million."""
_CODEC_THREADS = min(os.cpu_count() or 1, 4)
"""Threads of the JPEG 2000 decoder at reduced resolution (Pillow's OpenJPEG asks the environment)."""

_Reply = tuple[dict[str, object], "NDArray[np.uint16] | None"]


class DecodeSandbox:
    """A persistent child process that reads mammograms. Thread-safe: one file at a time.

    ``memory_mb`` bounds the child's address space where the platform can (Linux), and its resident memory
    everywhere. ``seconds`` bounds the time that one file may take.
    """

    def __init__(self, *, memory_mb: int = 3000, seconds: float = 60.0) -> None:
        self._memory_mb = memory_mb
        self._seconds = seconds
        self._lock = threading.Lock()
        self._closed = False
        self._child: _Child | None = _Child(memory_mb)

    def read(self, path: Path, *, name: str | None = None, target: int | None = None) -> Mammogram:
        """As `dicom.read_mammogram`, in the child; `InputError` also for a file that kills the child."""
        shown = str(path) if name is None else name
        with self._lock:
            if self._closed:
                raise RuntimeError("the sandbox is closed")
            if self._child is not None and not self._child.alive:
                self._child.kill()
                self._child = None
            if self._child is None:
                self._child = _Child(self._memory_mb)
            try:
                reply, pixels = self._child.ask(_request(path, shown, target), self._seconds, self._memory_mb)
            except _ChildLostError as lost:
                self._child.kill()
                self._child = None
                raise InputError(shown, str(lost)) from lost
        if "reason" in reply:
            raise InputError(str(reply["subject"]), str(reply["reason"]))
        if pixels is None:
            raise InputError(shown, "got no picture from the decoder")
        return Mammogram(header_from_json(str(reply["header"])), pixels, int(str(reply["reduction"])))

    def close(self) -> None:
        """End the child. The sandbox cannot be used afterwards."""
        with self._lock:
            self._closed = True
            if self._child is not None:
                self._child.kill()
                self._child = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _request(path: Path, name: str, target: int | None) -> dict[str, object]:
    return {"path": str(path.absolute()), "name": name, "target": target}


class _ChildLostError(Exception):
    """The child is gone or had to be killed; the message says why."""


class _Pipes(NamedTuple):
    """The three pipes to a child."""

    stdin: IO[bytes]
    stdout: IO[bytes]
    stderr: IO[bytes]

    @classmethod
    def of(cls, process: "subprocess.Popen[bytes]") -> "_Pipes":
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise RuntimeError("the child was started without pipes")
        return cls(process.stdin, process.stdout, process.stderr)


class _Child:
    """One child process, with a thread that reads its replies and one that keeps its last words."""

    def __init__(self, memory_mb: int) -> None:
        command = [sys.executable, "-P", "-m", "mammo_core.sandbox", str(memory_mb)]
        # no idle thread pools: they reserve address space that the cap would count. OpenJPEG uses its threads.
        threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "OPJ_NUM_THREADS": str(_CODEC_THREADS)}
        environment = {**os.environ, **threads}
        no_window = 0x08000000 if sys.platform == "win32" else 0  # CREATE_NO_WINDOW
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            creationflags=no_window,
        )
        self._pipes = _Pipes.of(self._process)
        self._replies: queue.Queue[_Reply | None] = queue.Queue()
        self._last_words: deque[bytes] = deque(maxlen=20)
        self._readers = [
            threading.Thread(target=self._read_replies, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        self._ready = False

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, request: dict[str, object], seconds: float, memory_mb: int) -> _Reply:
        """Send one request and wait for its reply; `_ChildLostError` if none comes in time."""
        if not self._ready:
            self._wait(START_SECONDS, memory_mb, "the decoder did not start")
            self._ready = True
        try:
            _write(self._pipes.stdin, request)
        except OSError as error:
            raise _ChildLostError(f"the decoder is gone{self._said()}") from error
        return self._wait(seconds, memory_mb, f"took longer than {seconds:g} s to decode and was stopped")

    def _wait(self, seconds: float, memory_mb: int, too_late: str) -> _Reply:
        deadline = time.monotonic() + seconds
        while True:
            try:
                reply = self._replies.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                if time.monotonic() > deadline:
                    raise _ChildLostError(too_late) from None
                if self._resident_mb() > memory_mb:
                    raise _ChildLostError(f"needed more than {memory_mb:,} MB to decode and was stopped") from None
                continue
            if reply is None:
                raise _ChildLostError(f"made the decoder crash{self._said()}")
            return reply

    def _resident_mb(self) -> float:
        try:
            return float(psutil.Process(self._process.pid).memory_info().rss) / 1e6
        except psutil.Error:
            return 0.0

    def _said(self) -> str:
        """Exit code and the last line of the child's error output."""
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return ""
        self._readers[1].join(timeout=5)
        words = b"".join(self._last_words).decode("utf-8", "replace").strip().splitlines()
        return f" (exit code {code}{': ' + words[-1][:200] if words else ''})"

    def _read_replies(self) -> None:
        try:
            while True:
                self._replies.put(_read_reply(self._pipes.stdout))
        except (OSError, ValueError, EOFError):
            self._replies.put(None)

    def _read_errors(self) -> None:
        while line := self._pipes.stderr.readline(4096):
            self._last_words.append(line)

    def kill(self) -> None:
        """End the process and its threads; harmless if it has ended already."""
        self._process.kill()
        self._process.wait()
        for reader in self._readers:
            reader.join(timeout=5)
        for pipe in self._pipes:
            with suppress(OSError):  # unsent bytes for a reader that is gone
                pipe.close()


def _write(pipe: IO[bytes], message: dict[str, object], pixels: NDArray[np.uint16] | None = None) -> None:
    """Length of the JSON as 4 bytes, the JSON, then the pixels as it announces them."""
    if pixels is not None:
        message = {**message, "rows": pixels.shape[0], "columns": pixels.shape[1]}
    written = json.dumps(message).encode()
    pipe.write(struct.pack("<I", len(written)) + written)
    if pixels is not None:
        pipe.write(np.ascontiguousarray(pixels, dtype="<u2").data.cast("B"))
    pipe.flush()


def _read_message(pipe: IO[bytes]) -> dict[str, object]:
    (length,) = struct.unpack("<I", _exactly(pipe, 4))
    if length > _LONGEST_MESSAGE:
        raise ValueError("a message of impossible length")
    message = json.loads(_exactly(pipe, length))
    if not isinstance(message, dict):
        raise ValueError("a message that is no object")
    return message


def _read_reply(pipe: IO[bytes]) -> _Reply:
    """One message with its pixels. The child is not trusted: what it announces is bounded first."""
    message = _read_message(pipe)
    if "rows" not in message:
        return message, None
    rows, columns = int(str(message["rows"])), int(str(message["columns"]))
    if not (rows > 0 and columns > 0 and rows * columns <= Limits().megapixels * 1e6):
        raise ValueError("pixels of impossible size")
    pixels = np.empty((rows, columns), dtype="<u2")
    view = pixels.data.cast("B")
    filled = 0
    while filled < len(view):
        read: int = pipe.readinto(view[filled:])  # type: ignore[attr-defined]  # typeshed's IO lacks it
        if not read:
            raise EOFError
        filled += read
    return message, pixels.astype(np.uint16, copy=False)


def _exactly(pipe: IO[bytes], size: int) -> bytes:
    data = pipe.read(size)
    if len(data) < size:
        raise EOFError
    return data


def main(memory_mb: int) -> None:
    """The child: answer requests until the parent closes the pipe or dies."""
    # The protocol gets a descriptor of its own: a C library that prints to standard output must not corrupt
    # it.
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    from mammo_core.dicom import (
        read_mammogram,
    )  # imports the decoders: after the pipe is safe, before the cap

    _limit_memory(memory_mb)
    requests: queue.Queue[dict[str, object]] = queue.Queue()
    threading.Thread(target=_read_requests, args=(sys.stdin.buffer, requests), daemon=True).start()
    _write(replies, {"ready": True})
    while True:
        request = requests.get()
        target = request["target"]
        try:
            mammogram = read_mammogram(
                Path(str(request["path"])),
                name=str(request["name"]),
                target=None if target is None else int(str(target)),
            )
        except InputError as error:
            _write(replies, {"subject": error.subject, "reason": error.reason})
            continue
        _write(
            replies,
            {"header": header_to_json(mammogram.header), "reduction": mammogram.reduction},
            mammogram.pixels,
        )


def _read_requests(pipe: IO[bytes], requests: "queue.Queue[dict[str, object]]") -> None:
    """Pass requests on; leave at once, even in the middle of decoding, when the parent is gone."""
    try:
        while True:
            requests.put(_read_message(pipe))
    except (EOFError, OSError, ValueError):
        os._exit(0)


def _limit_memory(memory_mb: int) -> None:
    """Cap the address space where that means something; elsewhere the parent watches the resident memory."""
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory_mb * 1_000_000, memory_mb * 1_000_000))


if __name__ == "__main__":
    main(int(sys.argv[1]))
