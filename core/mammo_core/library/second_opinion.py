"""A model's answer on a study of the library, kept in the library.

Importing this module imports torch. Knows nothing of threads and of the screen.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mammo_core.checkpoint import Checkpoint, load_checkpoint
from mammo_core.heatmap import Heatmap, methods, on_file
from mammo_core.library.library import Library
from mammo_core.library.pixels import heat_bytes
from mammo_core.library.values import (
    AiResult,
    BreastResult,
    HeatRecord,
    ImageRecord,
    ModelRecord,
    StudyRecord,
    ViewResult,
)
from mammo_core.mammogram import Mammogram
from mammo_core.reader import Reader, Reading, ViewReading
from mammo_core.sandbox import DecodeSandbox

HEAT_SIZE = 512
"""Longer side of a stored heatmap in pixels: far above any feature map's, far below the image's."""

Heat = tuple[str, HeatRecord, bytes]


class SecondOpinion:
    """A checkpoint ready to read studies of a library, with every heatmap method that differs for it."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._reader = Reader(checkpoint, methods=[choice.method for choice in methods(checkpoint)])

    @classmethod
    def from_file(cls, path: Path) -> "SecondOpinion":
        """Load a checkpoint file; InputError where it does not fit."""
        return cls(load_checkpoint(path))

    @property
    def sha256(self) -> str:
        """Hash of the checkpoint."""
        return self._checkpoint.sha256

    def read(self, library: Library, study_id: int, sandbox: DecodeSandbox) -> bool:
        """Read a study and keep the result; False where the study changed meanwhile and nothing was kept.

        Every image is decoded by the path that ``mammo read`` takes, so that both give the same scores, and gets
        the side and view that the library holds for it.
        """
        study = library.study(study_id)
        target = self._checkpoint.header.inputs.target
        mammograms = [_decoded(library, image, sandbox, target) for image in study.images]
        reading = self._reader.read(mammograms)
        return library.record_ai(study, self._result(reading), _heats(study, reading))

    def _result(self, reading: Reading) -> AiResult:
        model, limits = reading.model, self._checkpoint.header.card.limits
        return AiResult(
            model=ModelRecord(
                model.name, model.version, model.sha256, model.training_domain, reading.operating_point, limits
            ),
            score=reading.score,
            flagged=reading.flagged,
            breasts=tuple(BreastResult(each.laterality, each.score, each.flagged) for each in reading.breasts),
            views=tuple(_view(view) for view in reading.views),
            warnings=reading.warnings,
            methods=self._reader.methods,
        )


def _decoded(library: Library, image: ImageRecord, sandbox: DecodeSandbox, target: int) -> Mammogram:
    mammogram = sandbox.read(library.original(image.sha256), name=image.header.file, target=target)
    return replace(mammogram, header=image.header)


def _view(view: ViewReading) -> ViewResult:
    return ViewResult(
        sha256=view.sha256,
        laterality=view.laterality,
        view=view.view,
        score=view.score,
        facts=_facts(view),
        warnings=view.warnings,
        heat_reasons=tuple((heatmap.method, heatmap.reason) for heatmap in view.heatmaps if not heatmap.localised),
    )


def _facts(view: ViewReading) -> tuple[tuple[str, str], ...]:
    if view.placement is None or view.crop is None:
        return (("Model input", "none: this view was not scored"),)
    y0, x0, y1, x1 = view.crop
    height, width = view.placement.input_size
    return (
        ("Model crop", f"columns {x0} to {x1}, rows {y0} to {y1}"),
        ("Model input", f"{width} x {height}, {'mirrored' if view.flipped else 'not mirrored'}"),
        ("Model VOI", f"{view.voi}{', inverted' if view.inverted else ''}"),
    )


def _heats(study: StudyRecord, reading: Reading) -> Sequence[Heat]:
    return [
        _heat(study.image(view.sha256), heatmap)
        for view in reading.views
        for heatmap in view.heatmaps
        if heatmap.localised
    ]


def _heat(image: ImageRecord, heatmap: Heatmap) -> Heat:
    header = image.header
    step = max(1, -(-max(header.rows, header.columns) // HEAT_SIZE))
    values = on_file(heatmap, header.rows, header.columns, step=step)
    data, rows, columns = heat_bytes(values, heatmap.peak, header.hanging)
    record = HeatRecord(heatmap.method, hashlib.sha256(data).hexdigest(), rows, columns, heatmap.peak)
    return image.sha256, record, data
