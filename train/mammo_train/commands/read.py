"""``mammo read``: score exams and draw heatmaps, without a browser."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from mammo_core.errors import InputError
from mammo_train.console import progress, told_apart

if TYPE_CHECKING:
    from mammo_core.intake import Assignment, Candidate, Refusal
    from mammo_core.mammogram import Header, Mammogram
    from mammo_core.reader import Reader, Reading
    from mammo_core.sandbox import DecodeSandbox

_NOTHING_SCORED = 1

_KEPT_BYTES = 1_000_000_000
"""Decoded pixels kept between grouping files into studies and scoring; beyond, files are decoded again."""

_HOW_TO_CORRECT = (
    "To say which breast and view a file shows, put a folder.csv beside the files, with the columns "
    "file,laterality,view, for example: IMG001.dcm,R,MLO"
)

Paths = Annotated[list[Path], typer.Argument(help="DICOM files, folders and .zip archives of them.")]
ModelOption = Annotated[str | None, typer.Option("--model", help="Name of a bundled model, or a checkpoint file.")]
OutOption = Annotated[Path | None, typer.Option("--out", help="Folder for result.json and the heatmap pictures.")]


def read(paths: Paths, model: ModelOption = None, out: OutOption = None) -> None:
    """Score mammograms and draw heatmaps.

    Laterality and view that a file does not state come from a folder.csv beside it (file,laterality,view).
    Exit code: 0 if any view was scored, 1 if none was, 2 if the command was wrong.
    """
    with told_apart():
        missing = [path for path in paths if not path.exists()]
        if missing:
            raise InputError(str(missing[0]), "does not exist; expected a file or folder")
        from mammo_core.checkpoint import load_checkpoint
        from mammo_core.model_files import find_model
        from mammo_core.reader import Reader

        reader = Reader(load_checkpoint(find_model(model)))
        readings, refused = _read_all(paths, reader, out)
    _print_result(readings, refused)
    scored = any(view.scored for reading in readings for view in reading.views)
    raise typer.Exit(0 if scored else _NOTHING_SCORED)


def _read_all(paths: Sequence[Path], reader: "Reader", out: Path | None) -> "tuple[list[Reading], list[Refusal]]":
    """Read every study under ``paths`` and draw it to ``out``, if given, as soon as it is read."""
    from mammo_core.intake import candidates
    from mammo_core.report import result_json, write_exam, write_result
    from mammo_core.sandbox import DecodeSandbox
    from mammo_core.study import group_studies

    readings: list[Reading] = []
    pictures: dict[str, str] = {}
    with candidates(paths) as (found, unusable), DecodeSandbox() as sandbox, progress() as bar:
        decoder = _Decoder(sandbox, reader.checkpoint.header.inputs.target)
        refused = list(unusable)
        headers = _headers(found, decoder, _corrections(paths, found), refused, bar)
        studies = group_studies(headers)
        task = bar.add_task("Scoring", total=len(studies))
        for study in studies:
            views = [decoder.mammogram(header) for header in study.headers]
            readings.append(reader.read(views))
            if out is not None:
                pictures |= write_exam(out, readings[-1], views)
            bar.advance(task)
    if out is not None:
        write_result(out, result_json(readings, refused, model=reader.identity, heatmaps=pictures))
    return readings, refused


class _Decoder:
    """Decodes each file once where memory allows, so that grouping into studies costs no second decoding."""

    def __init__(self, sandbox: "DecodeSandbox", target: int) -> None:
        self._sandbox = sandbox
        self._target = target
        self._candidates: dict[str, Candidate] = {}
        self._kept: dict[str, Mammogram] = {}
        self._kept_bytes = 0

    def header(self, candidate: "Candidate") -> "Header":
        """Decode a file, keep its pixels if there is room, and return its header."""
        mammogram = self._sandbox.read(candidate.path, name=candidate.name, target=self._target)
        sha256 = mammogram.header.sha256
        if sha256 not in self._candidates:
            self._candidates[sha256] = candidate
            if self._kept_bytes + mammogram.pixels.nbytes <= _KEPT_BYTES:
                self._kept[sha256] = mammogram
                self._kept_bytes += mammogram.pixels.nbytes
        return mammogram.header

    def mammogram(self, header: "Header") -> "Mammogram":
        """Return the pixels under a header that may have been corrected since, giving up what was kept."""
        found = self._kept.pop(header.sha256, None)
        if found is None:
            candidate = self._candidates[header.sha256]
            found = self._sandbox.read(candidate.path, name=candidate.name, target=self._target)
        else:
            self._kept_bytes -= found.pixels.nbytes
        return replace(found, header=header)


def _headers(
    found: "Sequence[Candidate]",
    decoder: _Decoder,
    corrections: "dict[str, Assignment]",
    refused: "list[Refusal]",
    bar: Progress,
) -> "list[Header]":
    """Headers of all readable files, corrected by folder.csv; the others are added to ``refused``."""
    from mammo_core.intake import Refusal
    from mammo_core.study import assign

    headers = []
    task = bar.add_task("Reading DICOM", total=len(found))
    for candidate in found:
        try:
            header = decoder.header(candidate)
            said = corrections.get(candidate.name)
            if said is not None:
                header = assign(header, laterality=said.laterality, view=said.view, source="folder.csv")
            headers.append(header)
        except InputError as error:
            refused.append(Refusal(candidate.name, error.reason if error.subject == candidate.name else str(error)))
        bar.advance(task)
    return headers


def _corrections(paths: Sequence[Path], found: "Sequence[Candidate]") -> "dict[str, Assignment]":
    """Collect what every folder.csv under ``paths`` says, by the name that a file is shown under.

    One may stand in any folder between the path given and the file; the nearest to the file counts.
    """
    from mammo_core.intake import folder_corrections

    tops = [path if path.is_dir() else path.parent for path in paths]
    folders = {
        parent
        for candidate in found
        for parent in Path(candidate.name).parents
        if any(parent.is_relative_to(top) for top in tops)
    }
    said: dict[str, Assignment] = {}
    for folder in sorted(folders, key=lambda folder: len(folder.parts)):
        said |= {str(folder / name): value for name, value in folder_corrections(folder).items()}
    return said


def _print_result(readings: "Sequence[Reading]", refused: "Sequence[Refusal]") -> None:
    """Scores as a table, then what the reader must know, then what was refused."""
    console = Console()
    for reading in readings:
        _print_exam(console, reading)
    for refusal in refused:
        console.print(f"refused  {refusal.file}: {refusal.reason}", markup=False, highlight=False, soft_wrap=True)
    if any(view.laterality is None or view.view is None for reading in readings for view in reading.views):
        console.print(_HOW_TO_CORRECT, markup=False, highlight=False, soft_wrap=True)
    console.print("Research use only - not for diagnosis.", style="bold", highlight=False)


def _print_exam(console: Console, reading: "Reading") -> None:
    score = "not scored" if reading.score is None else f"{reading.score:.3f}"
    flag = {True: ", flagged", False: ", not flagged", None: ""}[reading.flagged]
    # Identifiers are text from the file: never console markup.
    title = f"Patient {reading.patient_id or '-'}, study {reading.study_uid or '-'}: {score}{flag}"
    table = Table(title=Text(title), title_justify="left", title_style="bold")
    for column in ("view", "score", "file"):
        table.add_column(column, overflow="fold")
    for view in reading.views:
        label = f"{view.laterality or '?'}{view.view or '?'}"
        shown = "-" if view.score is None else f"{view.score:.3f}"
        table.add_row(Text(label), Text(shown), Text(view.file))
    console.print(table)
    for breast in reading.breasts:
        flagged = " flagged" if breast.flagged else ""
        console.print(f"  {breast.laterality} breast {breast.score:.3f}{flagged}", highlight=False)
    warnings = [
        *reading.warnings,
        *(f"{view.file}: {text}" for view in reading.views for text in view.warnings),
    ]
    for text in warnings:
        console.print(f"  warning: {text}", markup=False, highlight=False, soft_wrap=True)
