"""``mammo read``: score exams and draw heatmaps, without a browser."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from platformdirs import user_cache_path
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from mammo_core.banner import BANNER
from mammo_core.errors import InputError
from mammo_train.console import progress, told_apart

if TYPE_CHECKING:
    from mammo_core.intake import Candidate, Refusal
    from mammo_core.mammogram import Header, Mammogram
    from mammo_core.reader import Reader, Reading
    from mammo_core.sandbox import DecodeSandbox
    from mammo_core.study import Study

_NOTHING_SCORED = 1

_KEPT_BYTES = 1_000_000_000
"""Decoded pixels kept between grouping files into studies and scoring; beyond, files are decoded again."""

_HOW_TO_CORRECT = (
    "To say which breast and view a file shows, put a folder.csv beside the files, with the columns "
    "file,laterality,view, for example: IMG001.dcm,R,MLO"
)

Paths = Annotated[list[Path], typer.Argument(help="DICOM files, folders and .zip archives of them.")]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model", help="Bundled name or checkpoint file. Default: the library's model in use.", show_default=False
    ),
]
OutOption = Annotated[Path | None, typer.Option("--out", help="Folder for result.json and the heatmap pictures.")]


LibraryOption = Annotated[
    Path | None,
    typer.Option(
        "--library",
        help="Library of mammo-gui whose model and saved operating point are used. Default: your own, if there is one.",
        show_default=False,
    ),
]


def read(paths: Paths, model: ModelOption = None, out: OutOption = None, library: LibraryOption = None) -> None:
    """Score mammograms and draw heatmaps.

    Laterality and view that a file does not state come from a folder.csv beside it (file,laterality,view).
    Exit code: 0 if any view was scored, 1 if none was, 2 if the command was wrong or --out could not be written.
    """
    with told_apart():
        missing = [path for path in paths if not path.exists()]
        if missing:
            raise InputError(str(missing[0]), "does not exist; expected a file or folder")
        output = _Output(out)
        reader = _reader(model, library)
        readings, refused = _read_all(paths, reader, output)
        output.add_result(readings, refused, reader)
        _print_result(readings, refused)
        if output.problem is not None:
            raise output.problem
    scored = any(view.scored for reading in readings for view in reading.views)
    raise typer.Exit(0 if scored else _NOTHING_SCORED)


def _reader(model: str | None, folder: Path | None) -> "Reader":
    """The model that was asked for, else the one in use in the library, at the operating point saved for it there."""
    from mammo_core.checkpoint import load_checkpoint
    from mammo_core.model_files import find_model
    from mammo_core.reader import Reader
    from mammo_train.own_library import own_library

    library = own_library(folder)
    if library is None:
        return Reader(load_checkpoint(find_model(model)))
    with library:
        checkpoint = load_checkpoint(library.models.in_use().path if model is None else find_model(model))
        point = library.points.in_use(checkpoint.sha256)
    return Reader(checkpoint, thresholds=None if point is None else point.thresholds)


def _read_all(paths: Sequence[Path], reader: "Reader", output: "_Output") -> "tuple[list[Reading], list[Refusal]]":
    """Read every study under ``paths`` and draw it to ``output`` as soon as it is read."""
    from mammo_core.intake import candidates
    from mammo_core.sandbox import DecodeSandbox
    from mammo_core.study import group_studies

    readings: list[Reading] = []
    scratch = user_cache_path("mammo-gui", appauthor=False) / "unpacking"
    with candidates(paths, scratch) as (found, unusable), DecodeSandbox() as sandbox, progress() as bar:
        decoder = _Decoder(sandbox, reader.checkpoint.header.inputs.target)
        refused = list(unusable)
        headers = _headers(found, decoder, refused, bar)
        studies = group_studies(headers)
        task = bar.add_task("Scoring", total=len(studies))
        for study in studies:
            views = _views(study, decoder, refused)
            reading = _reading(study, views, reader, refused)
            if reading is not None:
                readings.append(reading)
                output.add_exam(reading, views)
            bar.advance(task)
    return readings, refused


def _views(study: "Study", decoder: "_Decoder", refused: "list[Refusal]") -> "list[Mammogram]":
    """The study's pictures; files that cannot be decoded a second time are added to ``refused``."""
    from mammo_core.intake import Refusal

    views = []
    for header in study.headers:
        try:
            views.append(decoder.mammogram(header))
        except InputError as error:
            refused.append(Refusal(header.file, error.reason))
    return views


def _reading(study: "Study", views: "list[Mammogram]", reader: "Reader", refused: "list[Refusal]") -> "Reading | None":
    """What the model says of a study, with what grouping it with others showed; None where it cannot be read."""
    from mammo_core.intake import Refusal

    if not views:
        return None
    try:
        reading = reader.read(views)
    except InputError as error:
        refused += [Refusal(view.header.file, str(error)) for view in views]
        return None
    told = replace(study, headers=tuple(view.header for view in views)).warnings
    return replace(reading, warnings=tuple(dict.fromkeys((*reading.warnings, *told))))


class _Output:
    """The folder of ``--out``, or nothing. Where it cannot be written any more, the exams are read to the end."""

    def __init__(self, folder: Path | None) -> None:
        """Make the folder and see that it can be written, before anything is scored; InputError otherwise."""
        self.problem: InputError | None = None
        self._folder = folder
        self._pictures: dict[str, str] = {}
        if folder is None:
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except FileExistsError:
            raise InputError("--out", f"{folder} is a file; expected a folder, or a name for a new one") from None
        except OSError as error:
            raise InputError("--out", f"{folder} cannot be written to: {error.strerror}") from error

    def add_exam(self, reading: "Reading", views: "Sequence[Mammogram]") -> None:
        """Draw an exam."""
        from mammo_core.report import write_exam

        if self._folder is None or self.problem is not None:
            return
        try:
            self._pictures |= write_exam(self._folder, reading, views)
        except OSError as error:
            self._keep(error)

    def add_result(self, readings: "Sequence[Reading]", refused: "Sequence[Refusal]", reader: "Reader") -> None:
        """Write ``result.json``, also where pictures could not be written: it is small, and it is what matters."""
        from mammo_core.report import result_json, write_result

        if self._folder is None:
            return
        try:
            write_result(self._folder, result_json(readings, refused, reader, heatmaps=self._pictures))
        except OSError as error:
            self._keep(error)

    def _keep(self, error: OSError) -> None:
        self.problem = InputError("--out", f"{self._folder} could not be written to the end: {error.strerror}")


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
        mammogram = self._decoded(candidate)
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
            found = self._decoded(self._candidates[header.sha256])
            if found.header.sha256 != header.sha256:
                raise InputError(header.file, "changed while it was read")
        else:
            self._kept_bytes -= found.pixels.nbytes
        return replace(found, header=header)

    def _decoded(self, candidate: "Candidate") -> "Mammogram":
        with candidate.opened() as path:
            return self._sandbox.read(path, name=candidate.name, target=self._target)


def _headers(
    found: "Sequence[Candidate]", decoder: _Decoder, refused: "list[Refusal]", bar: Progress
) -> "list[Header]":
    """Headers of all readable files, corrected by folder.csv; the others are added to ``refused``."""
    from mammo_core.intake import Refusal
    from mammo_core.study import assign

    headers = []
    task = bar.add_task("Reading DICOM", total=len(found))
    for candidate in found:
        try:
            header = decoder.header(candidate)
            said = candidate.said
            if said is not None:
                header = assign(header, laterality=said.laterality, view=said.view, source="folder.csv")
            headers.append(header)
        except InputError as error:
            refused.append(Refusal(candidate.name, error.reason if error.subject == candidate.name else str(error)))
        bar.advance(task)
    return headers


def _print_result(readings: "Sequence[Reading]", refused: "Sequence[Refusal]") -> None:
    """Scores as a table, then what the reader must know, then what was refused."""
    console = Console()
    for reading in readings:
        _print_exam(console, reading)
    for refusal in refused:
        console.print(f"refused  {refusal.file}: {refusal.reason}", markup=False, highlight=False, soft_wrap=True)
    if any(view.laterality is None or view.view is None for reading in readings for view in reading.views):
        console.print(_HOW_TO_CORRECT, markup=False, highlight=False, soft_wrap=True)
    console.print(f"{BANNER}.", style="bold", highlight=False)


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
