"""What work on other machines has to say, brought to the one that asked for it: progress and lines for a person."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

from mammo_train.cluster.session import actor_of

_POLL_SECONDS = 0.5

Tell = Callable[[str, int, int], None]
Note = Callable[[str], None]


class _Ear:
    """Lives on the cluster; keeps what was said until somebody takes it."""

    def __init__(self) -> None:
        self._over = False
        self._lines: list[str] = []
        self._progress: tuple[str, int, int] | None = None

    def tell(self, what: str, done: int, total: int) -> None:
        self._progress = (what, done, total)

    def note(self, text: str) -> None:
        self._lines.append(text)

    def end(self) -> None:
        self._over = True

    def over(self) -> bool:
        return self._over

    def take(self) -> tuple[list[str], tuple[str, int, int] | None]:
        found = self._lines, self._progress
        self._lines, self._progress = [], None
        return found


@contextmanager
def heard(tell: Tell, note: Note) -> Iterator[Any]:
    """Pass on what is said to the yielded handle, which `Voice` takes, while the block runs."""
    import ray

    ear = actor_of(_Ear)
    over = Event()

    def take() -> None:
        lines, progress = ray.get(ear.take.remote())
        for line in lines:
            note(line)
        if progress is not None:
            tell(*progress)

    def listen() -> None:
        while not over.wait(_POLL_SECONDS):
            take()

    thread = Thread(target=listen, name="cluster-ear", daemon=True)
    thread.start()
    try:
        yield ear
    finally:
        over.set()
        thread.join()
        take()


class Voice:
    """Speaks from a machine of the cluster. Progress is said twice a second at most."""

    def __init__(self, ear: Any, *, prefix: str = "") -> None:
        self._ear = ear
        self._prefix = prefix
        self._said = 0.0

    def tell(self, what: str, done: int, total: int) -> None:
        """Say how much is done."""
        now = time.monotonic()
        if now - self._said >= _POLL_SECONDS or done == total:
            self._said = now
            self._ear.tell.remote(f"{self._prefix}{what}", done, total)

    def note(self, text: str) -> None:
        """Say a line."""
        self._ear.note.remote(f"{self._prefix}{text}")

    def end(self) -> None:
        """Let nobody begin anything any more."""
        self._ear.end.remote()

    def over(self) -> bool:
        """Whether somebody said that nobody shall begin anything any more."""
        import ray

        return bool(ray.get(self._ear.over.remote()))
