"""``mammo card``: what a model says of itself, and a copy that says what was found out since it was trained."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from mammo_core.errors import InputError
from mammo_train.console import told_apart

Sentences = Annotated[
    list[str] | None, typer.Option(help="Sentence to add to the card; can be given several times.", show_default=False)
]


def card(
    model: Annotated[str, typer.Argument(help="Name of a bundled model, or a checkpoint file.")],
    out: Annotated[Path | None, typer.Argument(help="File for a copy that says more.", show_default=False)] = None,
    result: Sentences = None,
    limit: Sentences = None,
) -> None:
    """Print a model's card, or write a copy of the model with more on it.

    --result says what was measured, where and with which interval; --limit what the model does not know or cannot do:
    what an evaluation finds after training gets to where a reader sees it. The copy is another file with another hash
    and the same weights, calibration and threshold. An existing file is never written over.
    """
    with told_apart():
        from mammo_core.checkpoint import load_checkpoint, with_card
        from mammo_core.model_files import find_model
        from mammo_train.commands.models import print_card

        source = find_model(model)
        added = {"results": tuple(result or ()), "limits": tuple(limit or ())}
        _check(out, added)
        if out is not None:
            old = load_checkpoint(source).header.card
            more = {name: (*getattr(old, name), *sentences) for name, sentences in added.items()}
            with_card(source, old.model_copy(update=more), out)
            source = out
        print_card(Console(), source)


def _check(out: Path | None, added: dict[str, tuple[str, ...]]) -> None:
    """Raise InputError where sentences have no file to go to, a file no sentences, or one would be lost."""
    sentences = [sentence for part in added.values() for sentence in part]
    if any(not sentence.strip() for sentence in sentences):
        raise InputError("--result or --limit", "is empty, expected a sentence")
    if out is None and sentences:
        raise InputError("OUT", "is missing: a model is never changed, give the file for the copy")
    if out is not None and not sentences:
        raise InputError(str(out), "would be the same model: give a --result or a --limit")
    if out is not None and out.exists():
        raise InputError(str(out), "is there already and is not written over")
