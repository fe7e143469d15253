"""``mammo train``: a recipe and a prepared set into a run folder with an evaluated checkpoint."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress

from mammo_train.console import Cluster, progress, told_apart

if TYPE_CHECKING:
    from mammo_train.prepared_set import PreparedSet
    from mammo_train.recipe import Recipe
    from mammo_train.split import Split

_SIGNALLED = 128
"""What shells add to a signal's number where it ended a command."""


def train(
    recipe: Annotated[str, typer.Argument(help="Name of a bundled recipe, or a TOML file.")],
    data: Annotated[Path, typer.Argument(help="Folder that `mammo prepare` made.")],
    run: Annotated[Path, typer.Argument(help="Folder of the run: made, or carried on with --resume.")],
    resume: Annotated[bool, typer.Option("--resume", help="Carry on from the last state on the disk.")] = False,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe, such as phases.0.epochs=2."),
    ] = None,
    split: Annotated[
        Path | None, typer.Option(help="CSV file of the patients' parts, instead of the recipe's.")
    ] = None,
    cluster: Cluster = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that train together on the cluster.")] = 1,
) -> None:
    """Train a model: the phases of RECIPE one after the other, then calibration, operating point and evaluation.

    Ctrl-C, SIGTERM or a file named stop in RUN end it after the batch in hand; that, or a crash, is carried on with
    --resume. Several GPUs: python -m torch.distributed.run --nproc-per-node N -m mammo_train.cli train ... Exit code:
    0 when done, or stopped by the file; 2 if something given cannot be used; 128 + its number after a signal.
    """
    with told_apart():
        from mammo_train.prepared_set import open_prepared
        from mammo_train.recipe import load_recipe
        from mammo_train.run import Stopped

        wanted, prepared = load_recipe(recipe, change or ()), open_prepared(data)
        try:
            divided = _split(wanted, prepared, run, split, resume=resume)
            _train(wanted, prepared, divided, run, resume=resume, cluster=cluster, workers=workers)
        except Stopped as stopped:
            typer.echo(f"mammo: stopped, {stopped.reason}; carry on with --resume", err=True)
            raise typer.Exit(_SIGNALLED + stopped.signal if stopped.signal else 0) from None


def _split(recipe: "Recipe", data: "PreparedSet", run: Path, file: Path | None, *, resume: bool) -> "Split":
    """Read the split that is given, that of the run that is carried on, or make the recipe's."""
    from mammo_train.run import SPLIT
    from mammo_train.split import make_split, read_split

    if file is not None:
        return read_split(file, data.table)
    if resume and (run / SPLIT).exists():
        return read_split(run / SPLIT, data.table)
    return make_split(data.table, recipe.split)


def _train(
    recipe: "Recipe",
    data: "PreparedSet",
    split: "Split",
    run: Path,
    *,
    resume: bool,
    cluster: str | None,
    workers: int,
) -> None:
    """Train and evaluate with a bar for each thing that is going on."""
    from mammo_train.distributed import speaks
    from mammo_train.evaluate import evaluate
    from mammo_train.fit import fit

    if not speaks():
        fit(recipe, data, split, run, resume=resume)
        return
    with progress() as bar:
        going = _Bar(bar)

        def note(text: str) -> None:
            bar.console.print(text, markup=False, highlight=False, soft_wrap=True)

        def after(checkpoint: Path) -> None:
            evaluate(checkpoint, data, run, split=split, tell=going.tell)

        if cluster is None:
            checkpoint = fit(recipe, data, split, run, resume=resume, tell=going.tell, note=note, after=after)
        else:
            from mammo_train.cluster.training import fit_on_cluster

            checkpoint = fit_on_cluster(
                cluster, workers, recipe, data, split, run, resume=resume, tell=going.tell, note=note
            )
    typer.echo(f"checkpoint  {checkpoint}")
    typer.echo(f"report      {run / 'evaluation.html'}")


class _Bar:
    """One line of the terminal, for whatever is going on."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._what = ""
        self._task = bar.add_task("", total=None)

    def tell(self, what: str, done: int, total: int) -> None:
        """Show how much is done; another thing starts the line, and its time left, anew."""
        if what != self._what:
            self._what = what
            self._bar.reset(self._task, description=what, total=total, completed=0)
        self._bar.update(self._task, completed=done, total=total)
