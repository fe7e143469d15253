"""``mammo compare``: several ways of training within the same budget, and what tells them apart."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from mammo_train.console import Cluster, progress, told_apart

if TYPE_CHECKING:
    from mammo_train.comparison import Comparison

_SIGNALLED = 128
"""What shells add to a signal's number where it ended a command."""


def compare(
    plan: Annotated[str, typer.Argument(help="Name of a bundled plan, or a TOML file.")],
    data: Annotated[Path, typer.Argument(help="Prepared set to train on.")],
    out: Annotated[Path, typer.Argument(help="Folder for the runs and the report.")],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change the plan, such as budget.passes=2; repeatable."),
    ] = None,
    cluster: Cluster = None,
) -> None:
    """Train every arm of a plan within the same budget, and measure the differences.

    Writes comparison.html, comparison.json and CSV files. Interrupted, it is carried on by giving the same command
    again: finished runs are kept, also when the plan has grown. Exit code: 0 when done, or stopped by a file named
    stop in the run's folder; 2 if something given cannot be used; 128 + its number after a signal.
    """
    with told_apart():
        from mammo_train.compare import PAGE, RUNS_TOLD
        from mammo_train.compare import compare as compared
        from mammo_train.plan import load_plan
        from mammo_train.prepared_set import open_prepared
        from mammo_train.run import Stopped

        asked = load_plan(plan, changes or ())
        prepared = open_prepared(data)
        with progress() as bar:
            # One line for all runs, one for whatever is going on in the run at hand.
            runs, now = bar.add_task("Runs", total=None), bar.add_task("", total=None)
            going = ""

            def show(what: str, done: int, total: int) -> None:
                nonlocal going
                task = runs if what == RUNS_TOLD else now
                if task == now and what != going:
                    going = what
                    bar.reset(now, description=what)
                bar.update(task, completed=done, total=total)

            def note(text: str) -> None:
                bar.console.print(text, markup=False, highlight=False, soft_wrap=True)

            try:
                if cluster is not None:
                    from mammo_train.cluster.arms import run_on_cluster

                    run_on_cluster(cluster, asked, prepared, out.resolve(), tell=show, note=note)
                found = compared(asked, prepared, out, tell=show, note=note)
            except Stopped as stopped:
                note(f"mammo: stopped, {stopped.reason}; give the same command again to carry on")
                raise typer.Exit(_SIGNALLED + stopped.signal if stopped.signal else 0) from None
    _print_result(found)
    typer.echo(f"{out / PAGE}")


def _print_result(found: "Comparison") -> None:
    from mammo_train.html_page import estimate

    console = Console()
    tested = [figure for figure in found.figures if figure.tested]
    arms = Table(title=f"{found.breasts} held-out breasts, {found.positive_breasts} with cancer", title_justify="left")
    for column in ("arm", *(figure.title for figure in tested), f"{found.plan.target_auc:g} reached", "area"):
        arms.add_column(column, overflow="fold")
    for arm in found.arms:
        figures = [estimate(arm.figures[figure.name]) for figure in tested]
        arms.add_row(arm.name, *figures, f"{arm.reached} of {arm.runs} runs", f"{arm.mean_area:.3f}")
    console.print(arms)
    for contrast in found.contrasts:
        change = contrast.difference
        interval = f"{change.value:+.3f} ({change.low:+.3f} to {change.high:+.3f})"
        line = f"{contrast.a} - {contrast.b}, {contrast.figure}: {interval}, p {contrast.p_holm:.3f} after Holm"
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    for text in found.warnings:
        console.print(f"warning: {text}", markup=False, highlight=False, soft_wrap=True)
    console.print("Research use only - not for diagnosis.", style="bold", highlight=False)
