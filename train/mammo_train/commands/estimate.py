"""``mammo estimate``: how long a recipe would take on this machine, from a short trial of each phase."""

from pathlib import Path
from typing import Annotated

import typer

from mammo_train.console import progress, told_apart


def estimate(
    recipe: Annotated[str, typer.Argument(help="Name of a bundled recipe, or a TOML file.")],
    data: Annotated[Path, typer.Argument(help="Folder that `mammo prepare` made.")],
    change: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe, such as phases.0.epochs=2."),
    ] = None,
    json: Annotated[Path | None, typer.Option(help="File to write the figures to as well.")] = None,
) -> None:
    """Try every phase of RECIPE on a few images and say how long training on all of DATA would take here."""
    with told_apart():
        from mammo_core.files import write_atomic
        from mammo_train.estimate import estimate as estimated
        from mammo_train.prepared_set import open_prepared
        from mammo_train.recipe import load_recipe
        from mammo_train.split import make_split

        wanted, prepared = load_recipe(recipe, change or ()), open_prepared(data)
        with progress() as bar:
            task = bar.add_task("", total=None)
            found = estimated(
                wanted,
                prepared,
                make_split(prepared.table, wanted.split),
                lambda what, done, total: bar.update(task, description=what, completed=done, total=total),
            )
        if json is not None:
            write_atomic(json, found.model_dump_json(indent=1).encode())
        for phase in found.phases:
            typer.echo(
                f"{phase.name}: {phase.seconds / 60:.1f} min, {phase.epochs} epochs of {phase.images} images at"
                f" {phase.images_per_s:.1f} images/s on {found.device}"
            )
        typer.echo(f"together: {found.seconds / 60:.1f} min, calibration and evaluation not counted")
