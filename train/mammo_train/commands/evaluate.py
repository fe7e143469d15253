"""``mammo evaluate``: what a model is worth on a prepared set."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import TaskID

from mammo_core.errors import InputError
from mammo_train.console import progress, told_apart

if TYPE_CHECKING:
    from mammo_train.split import Split


def evaluate(
    model: Annotated[str, typer.Argument(help="Name of a bundled model, or a checkpoint file.")],
    data: Annotated[Path, typer.Argument(help="Prepared set.")],
    out: Annotated[Path, typer.Argument(help="Folder to write to.")],
    prevalence: Annotated[
        float | None,
        typer.Option(
            help="Also re-weight to this prevalence, such as 0.005; that of the model's calibration if left out."
        ),
    ] = None,
    split: Annotated[Path | None, typer.Option(help="CSV file of patients and their parts.")] = None,
    part: Annotated[
        str | None, typer.Option(help="train, validation, test or all; test if the split has one, else validation.")
    ] = None,
    gallery: Annotated[
        int, typer.Option(min=0, max=48, help="Pictures of each kind in the report; 0: a report without any.")
    ] = 6,
) -> None:
    """Measure a model: figures with intervals, subgroups, baselines, calibration, heatmaps, in one HTML report.

    Writes evaluation.html, evaluation.json and evaluation/*.csv. A model that was trained on this very set is
    measured on the test part of its own split. Exit code: 0 when done, 2 if the command was wrong.
    """
    with told_apart():
        from mammo_core.model_files import find_model
        from mammo_train.evaluate import PAGE
        from mammo_train.evaluate import evaluate as measured
        from mammo_train.evaluation import EvaluationSettings
        from mammo_train.prepared_set import open_prepared

        if prevalence is not None and not 0 < prevalence < 1:
            raise InputError("--prevalence", f"is {prevalence:g}, expected a share between 0 and 1, such as 0.005")
        checkpoint = find_model(model)
        prepared = open_prepared(data)
        parts: Split | None = None
        if split is not None:
            from mammo_train.split import read_split

            parts = read_split(split, prepared.table)
        with progress() as bar:
            tasks: dict[str, TaskID] = {}

            def tell(what: str, done: int, total: int) -> None:
                if what not in tasks:
                    tasks[what] = bar.add_task(what.capitalize(), total=total)
                bar.update(tasks[what], completed=done, total=total)

            settings = EvaluationSettings(gallery=gallery)
            found = measured(
                checkpoint, prepared, out, split=parts, part=part, prevalence=prevalence, settings=settings, tell=tell
            )
    _print_result(found, out / PAGE)


def _print_result(found: dict[str, Any], page: Path) -> None:
    """Say the main figures per breast, and what must be known before they are believed."""
    for text in found["warnings"]:
        typer.echo(f"warning  {text}")
    level = found["levels"][0]
    figures = {figure["name"]: figure["own"] for figure in level["figures"]}
    for name, title in (("roc_auc", "ROC-AUC"), ("pr_auc", "PR-AUC")):
        typer.echo(f"{title:16}{_in_words(figures[name])}")
    for point in found["operating_points"][:1]:
        cost = {figure["name"]: figure["own"] for figure in point["breast"]["figures"]}
        for name in ("sensitivity", "specificity"):
            typer.echo(f"{name:16}{_in_words(cost[name])} at {point['chosen']['threshold']:.3f}, {point['name']}")
    typer.echo(
        f"{level['n']} breasts of {level['patients']} patients, {level['positives']} positive "
        f"({level['prevalence']:.1%}), part: {found['subject']['part']}. Report: {page}"
    )
    typer.echo("Research use only - not for diagnosis.")


def _in_words(estimate: dict[str, float | None]) -> str:
    if estimate["value"] is None:
        return "does not exist here"
    return f"{estimate['value']:.3f} (95 % interval {estimate['low']:.3f} to {estimate['high']:.3f})"
