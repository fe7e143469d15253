"""``mammo phantom``: synthetic mammograms with known truth."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mammo_train.console import told_apart


class PhantomForm(StrEnum):
    """What ``mammo phantom`` writes."""

    exams = "exams"
    prepared = "prepared"


def phantom(
    out: Annotated[Path, typer.Argument(help="Folder to write to.")],
    studies: Annotated[int, typer.Option(min=1, help="Number of four-view exams.")] = 20,
    seed: Annotated[int, typer.Option(help="The same seed makes the same exams.")] = 1,
    prevalence: Annotated[float, typer.Option(min=0, max=1, help="Share of exams with a cancer.")] = 0.5,
    form: Annotated[PhantomForm, typer.Option(help="DICOM exams, or a prepared set.")] = PhantomForm.exams,
    height: Annotated[int, typer.Option(min=128, max=4800, help="Rows of every DICOM picture.")] = 1024,
    size: Annotated[
        str, typer.Option(metavar="HxW", help="Rows x columns of the pictures of a prepared set.")
    ] = "512x320",
) -> None:
    """Make synthetic mammograms with known truth."""
    with told_apart():
        from mammo_train.phantom_set import phantom_command

        phantom_command(
            out, studies=studies, seed=seed, prevalence=prevalence, form=form.value, height=height, size=size
        )
