"""``mammo prepare``: a published data set into a folder to train on."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mammo_train.console import Cluster, progress, told_apart

if TYPE_CHECKING:
    from mammo_core.intake import Refusal
    from mammo_train.prepare import Answering
    from mammo_train.prepared_set import Record

_LISTED = 20
"""Refused files that are told on the terminal; all of them are in prepared.json."""


class SourceName(StrEnum):
    """The data sets whose layout is known."""

    rsna = "rsna"
    inbreast = "inbreast"
    cbis = "cbis"
    folder = "folder"


class Bits(StrEnum):
    """Bits of each pixel."""

    eight = "8"
    sixteen = "16"


def prepare(
    name: Annotated[SourceName, typer.Argument(metavar="{rsna|inbreast|cbis|folder}", help="Which data set it is.")],
    source: Annotated[Path, typer.Argument(help="Folder that the data set was unpacked to.")],
    out: Annotated[Path, typer.Argument(help="Folder to write to.")],
    size: Annotated[str, typer.Option(metavar="HxW", help="Rows x columns of the pictures.")] = "512x320",
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; all cores if left out.")] = None,
    bits: Annotated[Bits, typer.Option(help="Bits of each pixel.")] = Bits.eight,
    cluster: Cluster = None,
) -> None:
    """Turn a data set into pictures of breasts and one table, as training needs them.

    SOURCE holds, for rsna: train.csv and train_images/; for inbreast: INbreast.csv and the images; for cbis: the
    description CSVs and the images; for folder: one CSV with the columns file, patient_id, laterality, view, cancer.
    Interrupted, it is carried on by giving the same command again. Exit code: 0 if any image was prepared, 2 if the
    command was wrong or nothing can be used.
    """
    with told_apart():
        from mammo_train.prepare import prepare as prepared
        from mammo_train.prepared_set import size_of
        from mammo_train.sources import open_source

        inputs = size_of(size)
        listed = open_source(name.value, source)
        with progress() as bar:
            task = bar.add_task("Preparing", total=len(listed.images))
            told = 0

            def tell(refusal: "Refusal") -> None:
                nonlocal told
                told += 1
                if told <= _LISTED:
                    line = f"refused  {refusal.file}: {refusal.reason}"
                    bar.console.print(line, markup=False, highlight=False, soft_wrap=True)

            def show(done: int, total: int) -> None:
                if bar.tasks[0].completed == 0 and done > 1:  # kept from before: they say nothing of the time left
                    bar.reset(task, total=total, completed=done)
                bar.update(task, completed=done)

            with _workers(cluster) as answering:
                record = prepared(
                    listed,
                    out.resolve(),
                    inputs,
                    bits=int(bits.value),
                    workers=workers,
                    answering=answering,
                    progress=show,
                    tell=tell,
                )
    _print_result(record, out)


@contextmanager
def _workers(cluster: str | None) -> "Iterator[Answering | None]":
    """Who does the work: processes of this machine (None), or a cluster's."""
    if cluster is None:
        yield None
        return
    from mammo_train.cluster.pictures import answers_of_cluster
    from mammo_train.cluster.session import connected

    with connected(cluster):
        yield answers_of_cluster


def _print_result(record: "Record", out: Path) -> None:
    for note in record.notes:
        typer.echo(f"note     {note}")
    if record.warned:
        typer.echo(f"warned   {len(record.warned)} images; see prepared.json")
    if record.refused:
        typer.echo(f"refused  {len(record.refused)} files; all of them, with reasons, are in prepared.json")
    found = record.counts or {}
    typer.echo(
        f"{out}: {found['images']} images of {found['breasts']} breasts of {found['patients']} patients,"
        f" {found['images_with_cancer']} images and {found['breasts_with_cancer']} breasts with cancer,"
        f" {record.inputs.height} x {record.inputs.width}, {record.bits} bits"
    )
