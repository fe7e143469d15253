"""A study as the viewer takes it: plain JSON, every picture already hung (see ``viewer.js``)."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from mammo_core.banner import BANNER
from mammo_core.library import AiRecord, HeatRecord, ImageRecord, StudyRecord
from mammo_core.mammogram import Header, Laterality, Voi, VoiLut
from mammo_gui.views.facts import facts_of
from mammo_gui.views.hung import hung_images, labels
from mammo_gui.views.words import date_words, patient_words, score_words

Json = dict[str, Any]


def payload(study: StudyRecord | None, prior: StudyRecord | None, method: str) -> Json:
    """The viewer's study, with one prior beside it or none. AI is in it only where it may be shown.

    ``nonce`` is a hash of the rest: the same content is the same value, and the viewer is left alone.
    """
    content = _empty() if study is None else _content(study, prior, method)
    return {**content, "nonce": hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]}


def _empty() -> Json:
    return {"study": "", "title": "", "images": [], "heatPeak": 0, "aiHidden": False, "model": None, "banner": BANNER}


def _content(study: StudyRecord, prior: StudyRecord | None, method: str) -> Json:
    images = [_image(study, image, False, method) for image in hung_images(study)]
    if prior is not None:
        images += [_image(prior, image, True, method) for image in hung_images(prior)]
    ai = _shown(study)
    model = None
    if ai is not None:
        threshold = _threshold(ai)
        model = {
            "name": ai.result.model.name,
            "version": ai.result.model.version,
            "threshold": None if threshold is None else score_words(threshold),
        }
    return {
        "study": str(study.id),
        "title": f"{patient_words(study)}  {date_words(study.date)}",
        "images": images,
        "heatPeak": _largest_peak(study, ai, method),
        "aiHidden": study.ai_hidden,
        "model": model,
        "banner": BANNER,
    }


def _image(study: StudyRecord, image: ImageRecord, prior: bool, method: str) -> Json:
    header, ai = image.header, _shown(study)
    view = None if ai is None else ai.view(image.sha256)
    heat = None if ai is None else ai.heats.get((image.sha256, method))
    spacing = header.spacing
    turned = header.hanging.transpose
    return {
        "id": image.sha256,
        "label": labels(study)[image.sha256],
        "laterality": header.laterality,
        "view": header.view,
        "prior": prior,
        "date": date_words(study.date),
        "columns": image.columns,
        "rows": image.rows,
        "breast": _hung_box(header),
        "url": f"/mammo/pixels/{image.sha256}?v={image.pixels[:16]}",
        "monochrome1": header.photometric == "MONOCHROME1",
        "slope": header.slope,
        "intercept": header.intercept,
        "padding": None if header.padding is None else list(header.padding),
        "chestWall": _chest_wall(header.laterality),
        "vois": [_voi(image.sha256, number, voi) for number, voi in enumerate(header.vois)],
        "spacing": None
        if spacing is None
        else {
            "row": spacing.column_mm if turned else spacing.row_mm,
            "column": spacing.row_mm if turned else spacing.column_mm,
            "source": spacing.source,
        },
        "score": None if ai is None or view is None or view.score is None else score_words(view.score, _threshold(ai)),
        "heat": None if heat is None else _heat(image.sha256, heat),
        "heatReason": "" if view is None else view.heat_reason(method),
        "facts": [list(fact) for fact in facts_of(image, view)],
    }


def _shown(study: StudyRecord) -> AiRecord | None:
    return None if study.ai_hidden else study.ai


def _threshold(ai: AiRecord) -> float | None:
    point = ai.result.model.operating_point
    return None if point is None else point.threshold


def _hung_box(header: Header) -> list[int]:
    """The breast box as it hangs: ``[x0, y0, x1, y1]``, half-open, in pixels of the turned picture."""
    y0, x0, y1, x1 = header.breast_box
    rows, columns = header.rows, header.columns
    if header.hanging.transpose:
        y0, x0, y1, x1 = x0, y0, x1, y1
        rows, columns = columns, rows
    if header.hanging.flip_vertical:
        y0, y1 = rows - y1, rows - y0
    if header.hanging.flip_horizontal:
        x0, x1 = columns - x1, columns - x0
    return [x0, y0, x1, y1]


def _largest_peak(study: StudyRecord, ai: AiRecord | None, method: str) -> float:
    """Peak of the quietest normalisation that is common to the exam's views; 0 where there is no heatmap."""
    if ai is None:
        return 0.0
    return max(_peaks(ai, study.images, method), default=0.0)


def _peaks(ai: AiRecord, images: Iterable[ImageRecord], method: str) -> list[float]:
    found = (ai.heats.get((image.sha256, method)) for image in images)
    return [heat.peak for heat in found if heat is not None]


def _chest_wall(laterality: Laterality | None) -> str:
    """A hung left breast has its chest wall on the left; an image of unknown side is shown the same way."""
    return "right" if laterality == "R" else "left"


def _voi(sha256: str, number: int, voi: Voi) -> Json:
    name = voi.explanation or f"Window {number + 1}"
    if isinstance(voi, VoiLut):
        url = f"/mammo/lut/{sha256}/{number}"
        return {"name": name, "kind": "lut", "first": voi.first, "bits": voi.bits, "url": url}
    window = {"center": voi.center, "width": voi.width, "function": voi.function}
    return {"name": name, "kind": "window", **window}


def _heat(sha256: str, heat: HeatRecord) -> Json:
    url = f"/mammo/heat/{sha256}?method={heat.method}&v={heat.blob[:16]}"
    return {"url": url, "columns": heat.columns, "rows": heat.rows, "peak": heat.peak}
