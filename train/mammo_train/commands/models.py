"""``mammo models``: the models that exams can be read with."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from mammo_train.console import told_apart

if TYPE_CHECKING:
    from mammo_core.library import ModelEntry

LibraryOption = Annotated[
    Path | None,
    typer.Option("--library", help="Library of mammo-gui. Default: your own, if there is one.", show_default=False),
]


def models(library: LibraryOption = None) -> None:
    """List the models, bundled and in the library: which one is in use, and what each is good for."""
    with told_apart():
        console = Console()
        for entry in _entries(library):
            _print(console, entry)


def _entries(folder: Path | None) -> "Sequence[ModelEntry]":
    """Every model of a library; where there is none, those that ship with the product."""
    from mammo_core.library.models import bundled_entries
    from mammo_train.own_library import own_library

    opened = own_library(folder)
    if opened is None:
        return bundled_entries()
    with opened:
        return opened.models.all()


def _print(console: Console, entry: "ModelEntry") -> None:
    used = f", {entry.use}" if entry.use else ""
    print_card(console, entry.path, f" ({entry.origin}{used})")


def print_card(console: Console, path: Path, note: str = "") -> None:
    """Print what a checkpoint says of itself; ``note`` goes behind its name."""
    from mammo_core.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(path)
    header = checkpoint.header
    size = path.stat().st_size / 1e6
    console.print(f"{header.name} {header.version}{note}", style="bold", markup=False, highlight=False)
    for title, text in (
        ("file", f"{path.name}, {size:.1f} MB, sha256 {checkpoint.sha256}"),
        ("network", f"{header.architecture.in_words}, input {header.inputs.height} x {header.inputs.width}"),
        ("about", header.card.summary),
        ("use", header.card.intended_use),
        ("terms", header.card.data_terms),
        *(("measured", result) for result in header.card.results),
        *(("limit", limit) for limit in header.card.limits),
        ("made by", header.card.reproduce),
        *(() if header.training is None else (("took", header.training.spent_in_words),)),
    ):
        console.print(f"  {title:9}{text}", markup=False, highlight=False)
