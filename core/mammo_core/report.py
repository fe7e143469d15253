"""Readings -> result.json and pictures for people without the app.

Knows nothing of how a score came about. Names of files come from content hashes, never from what a file says.
"""

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mammo_core.banner import BANNER
from mammo_core.checkpoint import CheckpointHeader
from mammo_core.files import write_atomic
from mammo_core.heatmap import Heatmap, normalise, on_file
from mammo_core.intake import Refusal
from mammo_core.mammogram import Mammogram, display_pixels, hang
from mammo_core.projection import VIEWS
from mammo_core.reader import BreastReading, Reader, Reading, ViewReading
from mammo_core.thresholds import Thresholds

PICTURE_SIZE = 1024
"""Longer side of an exported view, in pixels."""

_OPACITY = 0.55
_STRIP = 28
_GAP = 6

Picture = NDArray[np.uint8]


def heat_color(heat: NDArray[np.float32]) -> Picture:
    """Colour of heat in [0, 1]: uint8 ``(..., 3)`` RGB, from dark red over orange to pale yellow."""
    stops = [0.0, 0.35, 0.7, 1.0]
    channels = ([110, 215, 255, 255], [0, 48, 160, 250], [30, 31, 20, 180])
    return np.stack([np.interp(heat, stops, c) for c in channels], axis=-1).astype(np.uint8)


def picture(mammogram: Mammogram, view: ViewReading, scale: float, *, size: int = PICTURE_SIZE) -> Image.Image:
    """One view hung, with its heatmap over it, a legend, its score and the banner.

    ``scale`` brings the heatmap's values into [0, 1] (`normalise`); ``size`` is the longer side in pixels.
    """
    shown = hang(display_pixels(mammogram), mammogram.header.hanging)
    height, width = shown.shape
    factor = size / max(height, width)
    columns, rows = max(round(width * factor), 1), max(round(height * factor), 1)
    small = Image.fromarray(np.ascontiguousarray(shown)).resize((columns, rows), Image.Resampling.BILINEAR)
    grey = np.clip(np.asarray(small) * 255 + 0.5, 0, 255).astype(np.uint8)
    colored = np.repeat(grey[..., None], 3, axis=2)
    if view.heatmap is not None and scale > 0:
        colored = _overlaid(colored, _hung_heat(view.heatmap, mammogram, scale, (columns, rows)))
    canvas = Image.new("RGB", (columns, rows + 2 * _STRIP))
    canvas.paste(Image.fromarray(colored), (0, _STRIP))
    _write_above(canvas, view)
    _write_banner(canvas)
    return canvas


def summary(pictures: Sequence[Image.Image], reading: Reading) -> Image.Image:
    """Hang all views of an exam, CC over MLO over others, above the exam's scores and the banner."""
    places = [_hanging_place(view) for view in reading.views]
    order = sorted(range(len(places)), key=places.__getitem__)
    rows = [[pictures[i] for i in order if places[i][0] == row] for row in range(3)]
    rows = [row for row in rows if row]
    width = max((sum(p.width for p in row) + _GAP * (len(row) - 1) for row in rows), default=400)
    height = sum(max(p.height for p in row) + _GAP for row in rows) + 3 * _STRIP
    canvas = Image.new("RGB", (max(width, 400), height))
    top = 0
    for row in rows:
        left = (canvas.width - sum(p.width for p in row) - _GAP * (len(row) - 1)) // 2
        for part in row:
            canvas.paste(part, (left, top))
            left += part.width + _GAP
        top += max(p.height for p in row) + _GAP
    draw = ImageDraw.Draw(canvas)
    for line, text in enumerate(_exam_lines(reading)):
        draw.text((8, top + 4 + line * _STRIP), text, fill="white", font=_font(15))
    _write_banner(canvas)
    return canvas


def result_json(
    readings: Sequence[Reading],
    refused: Iterable[Refusal],
    reader: Reader,
    *,
    heatmaps: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Arrange ``result.json``, schema 1, of what ``reader`` made of some files.

    ``heatmaps`` maps a view's sha256 to its picture's file name. Thresholds of single vendors are listed where there
    are any.
    """
    checkpoint, header = reader.checkpoint, reader.checkpoint.header
    return {
        "schema": 1,
        "software": {"name": "mammo-gui", "version": _software_version()},
        "model": {"name": header.name, "sha256": checkpoint.sha256, "training_domain": header.training_domain},
        "operating_point": None if reader.thresholds is None else _operating_point(reader.thresholds, header),
        "studies": [_study(reading, heatmaps or {}) for reading in readings],
        "refused": [{"file": refusal.file, "reason": refusal.reason} for refusal in refused],
    }


def write_exam(folder: Path, reading: Reading, mammograms: Sequence[Mammogram]) -> dict[str, str]:
    """Write a picture of every scored view and the exam's summary; views in the order of ``mammograms``.

    Heat is normalised over the exam, so that a quiet view looks quiet. Returns sha256 -> name of its picture.
    """
    scales = normalise([view.heatmap for view in reading.views])
    pictures = [
        picture(mammogram, view, scale)
        for mammogram, view, scale in zip(mammograms, reading.views, scales, strict=True)
    ]
    names = {}
    for view, drawn in zip(reading.views, pictures, strict=True):
        if view.scored:
            names[view.sha256] = f"{view.sha256[:16]}-{_label(view)}.png"
            write_atomic(folder / names[view.sha256], _png(drawn))
    first = min(view.sha256 for view in reading.views)
    write_atomic(folder / f"{first[:16]}-exam.png", _png(summary(pictures, reading)))
    return names


def write_result(folder: Path, result: Mapping[str, Any]) -> Path:
    """Write ``result.json`` whole or not at all."""
    path = folder / "result.json"
    text = json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False)
    write_atomic(path, text.encode("utf-8", errors="replace"))
    return path


def _operating_point(thresholds: Thresholds, header: CheckpointHeader) -> dict[str, Any]:
    """The operating point in use; one that was saved names itself, and vendors with one of their own are listed."""
    point = thresholds.general
    vendors = {"vendors": {name: own.threshold for name, own in thresholds.vendors.items()}}
    return {
        "threshold": point.threshold,
        "sensitivity": point.sensitivity.value,
        "specificity": point.specificity.value,
        "source": point.source if point == header.operating_point else f"{point.rule}. {point.source}",
        **(vendors if thresholds.vendors else {}),
    }


def _study(reading: Reading, heatmaps: Mapping[str, str]) -> dict[str, Any]:
    return {
        "study_uid": reading.study_uid,
        "patient_id": reading.patient_id,
        "score": reading.score,
        "flagged": reading.flagged,
        "warnings": list(reading.warnings),
        "breasts": [_breast(breast) for breast in reading.breasts],
        "views": [_view(view, heatmaps.get(view.sha256)) for view in reading.views],
    }


def _breast(breast: BreastReading) -> dict[str, Any]:
    return {"laterality": breast.laterality, "score": breast.score, "flagged": breast.flagged}


def _view(view: ViewReading, picture_name: str | None) -> dict[str, Any]:
    heat = view.heatmap
    return {
        "file": view.file,
        "laterality": view.laterality,
        "view": view.view,
        "score": view.score,
        "photometric": view.photometric,
        "inverted": view.inverted,
        "voi": view.voi,
        "flipped": view.flipped,
        "crop": None if view.crop is None else list(view.crop),
        "heatmap": picture_name,
        "warnings": [*view.warnings, *([heat.reason] if heat is not None and heat.reason else [])],
    }


def _software_version() -> str:
    try:
        return version("mammo-gui")
    except PackageNotFoundError:
        return "0"


def _label(view: ViewReading) -> str:
    """Laterality and view for a file name, out of a fixed list: a view code is text from outside."""
    known = view.view if view.view in VIEWS else "view"
    return f"{view.laterality or ''}{known}"


def _hanging_place(view: ViewReading) -> tuple[int, int]:
    row = {"CC": 0, "MLO": 1}.get(view.view or "", 2)
    return row, {"R": 0, "L": 1}.get(view.laterality or "", 2)


def _hung_heat(heat: Heatmap, mammogram: Mammogram, scale: float, size: tuple[int, int]) -> NDArray[np.float32]:
    header = mammogram.header
    step = max(max(header.rows, header.columns) // PICTURE_SIZE, 1)
    drawn = hang(on_file(heat, header.rows, header.columns, step=step), header.hanging) * np.float32(scale)
    resized = Image.fromarray(np.ascontiguousarray(drawn)).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(resized, np.float32).clip(0, 1)


def _overlaid(colored: Picture, heat: NDArray[np.float32]) -> Picture:
    """Blend heat over a picture: the hotter, the more of its colour, and nothing where there is none."""
    opacity = (_OPACITY * np.minimum(heat * 2, 1))[..., None]
    return (colored * (1 - opacity) + heat_color(heat) * opacity + 0.5).astype(np.uint8)


def _exam_lines(reading: Reading) -> list[str]:
    model = f"{reading.model.name} {reading.model.version} ({reading.model.sha256[:12]})"
    if reading.score is None:
        return [f"{model}: no score", ""]
    parts = [f"{b.laterality} {b.score:.3f}" for b in reading.breasts]
    flag = {True: "flagged", False: "not flagged", None: "no operating point"}[reading.flagged]
    point = reading.operating_point
    threshold = "" if point is None else f" at threshold {point.threshold:.3f}"
    learnt = ", trained on synthetic phantoms only" if reading.model.training_domain == "phantom" else ""
    return [f"Exam {reading.score:.3f} ({', '.join(parts)}): {flag}{threshold}", f"Model {model}{learnt}"]


def _write_above(canvas: Image.Image, view: ViewReading) -> None:
    """Label, score and the heat legend in the strip above the picture."""
    draw = ImageDraw.Draw(canvas)
    score = "not scored" if view.score is None else f"{view.score:.3f}"
    draw.text((8, 4), f"{_label(view)}  {score}", fill="white", font=_font(16))
    if view.heatmap is not None and not view.heatmap.localised:
        draw.text((150, 6), "no localisation", fill="#c0c0c0", font=_font(13))
    elif view.heatmap is not None:
        bar = heat_color(np.linspace(0, 1, 100, dtype=np.float32)[None].repeat(10, axis=0))
        canvas.paste(Image.fromarray(bar), (canvas.width - 150, 9))
        draw.text((canvas.width - 165, 5), "0", fill="#c0c0c0", font=_font(13))
        draw.text((canvas.width - 45, 5), "peak", fill="#c0c0c0", font=_font(13))


def _write_banner(canvas: Image.Image) -> None:
    """Burn the banner into the lowest strip, in a size that fits the picture's width."""
    draw = ImageDraw.Draw(canvas)
    size = 15
    while size > 7 and draw.textlength(BANNER, font=_font(size)) > canvas.width - 8:
        size -= 1
    top = canvas.height - _STRIP
    draw.rectangle((0, top, canvas.width, canvas.height), fill="#5a3c00")
    draw.text((canvas.width / 2, top + _STRIP / 2), BANNER, fill="white", font=_font(size), anchor="mm")


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _png(drawn: Image.Image) -> bytes:
    stream = io.BytesIO()
    drawn.save(stream, format="PNG")
    return stream.getvalue()
