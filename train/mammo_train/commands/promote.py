"""``mammo promote``: read exams with another model from now on."""

from pathlib import Path
from typing import Annotated

import typer

from mammo_core.errors import InputError
from mammo_train.console import told_apart

LibraryOption = Annotated[
    Path | None,
    typer.Option("--library", help="Library of mammo-gui that is to use it. Default: your own.", show_default=False),
]


def promote(
    model: Annotated[str, typer.Argument(help="A checkpoint file, or a name or hash that `mammo models` lists.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; kept on record.")],
    library: LibraryOption = None,
) -> None:
    """Read exams with this model from now on, in mammo-gui and in `mammo read`.

    A file is copied into the library with the evidence beside it: learning curves, evaluation, split.
    """
    with told_apart():
        from mammo_train.own_library import own_library

        opened = own_library(library)
        if opened is None:
            raise InputError("--library", "there is no library yet; start mammo-gui once, it makes one")
        with opened:
            models = opened.models
            file = Path(model)
            entry = models.add(file, origin="trained") if file.is_file() else models.find(model)
            before = models.in_use().title
            models.promote(entry.sha256, reason, {})
            typer.echo(f"{entry.title} is in use now, instead of {before}. Research use only - not for diagnosis.")
