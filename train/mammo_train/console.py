"""How every long command speaks: progress on stderr, what was wrong in words, exit codes.

Knows nothing of what the commands do.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mammo_core.errors import InputError

_USAGE = 2
_INTERRUPTED = 130


def progress() -> Progress:
    """A bar with counts and the time left."""
    return Progress(
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
