"""How every long command speaks: progress on stderr, what was wrong in words, exit codes.

Knows nothing of what the commands do.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from mammo_core.errors import InputError
from mammo_train.progress_file import ProgressFile, Step

_USAGE = 2
_INTERRUPTED = 130
_followed: list[ProgressFile] = []
"""The file in which this process says how far it is, where somebody follows it."""


@contextmanager
def followed(folder: Path) -> Iterator[None]:
    """Say in ``folder`` too how far the commands are that this process runs in the block."""
    _followed.append(ProgressFile(folder))
    try:
        yield
    finally:
        _followed.pop()


Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Ray cluster to work on, HOST:PORT or ray://HOST:PORT; its machines see the same folders.",
        show_default=False,
    ),
]
"""The option of every command that a Ray cluster can do."""


class _Bar(Progress):
    """A bar that whoever follows the process from outside sees too."""

    def update(self, task_id: TaskID, **changes: Any) -> None:
        """Change a line."""
        super().update(task_id, **changes)
        for file in _followed:
            file.say([Step(what=task.description, done=task.completed, total=task.total) for task in self.tasks])


def progress() -> Progress:
    """A bar with counts and the time left."""
    return _Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


@contextmanager
def told_apart() -> Iterator[None]:
    """Say what was wrong with the command and leave with 2; leave with 130 after Ctrl-C, as shells expect."""
    try:
        yield
    except InputError as error:
        typer.echo(f"mammo: {error}", err=True)
        raise typer.Exit(_USAGE) from None
    except KeyboardInterrupt:
        typer.echo("mammo: interrupted; what was written so far is whole", err=True)
        raise typer.Exit(_INTERRUPTED) from None
