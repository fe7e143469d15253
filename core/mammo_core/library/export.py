"""Reads as a CSV table that a spreadsheet or a statistics program opens.

Knows nothing of files on disk.
"""

import csv
import io

from mammo_core.library.library import Library
from mammo_core.library.values import AiResult, BreastCall, ReadRecord, StudyRecord

COLUMNS = (
    "read_id",
    "recorded_at",
    "reader",
    "patient_id",
    "study_date",
    "study_uid",
    "phantom",
    "blind",
    "right_recall",
    "right_suspicion",
    "left_recall",
    "left_suspicion",
    "agreement",
    "note",
    "ai_on_screen",
    "ai_score",
    "ai_right_score",
    "ai_left_score",
    "ai_flagged",
    "ai_threshold",
    "model",
    "model_version",
    "model_sha256",
)


def reads_csv(library: Library) -> str:
    """One line per recorded read, oldest first, with the AI result beside it.

    The AI is the one that was on screen, else that of the model in use for the same images; it is left out where
    blind mode hides it from the present reader. Text from files and people cannot act as a formula (see ``safe_cell``).
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    studies = [library.study(line.id) for line in library.worklist()]
    pairs = [(read, study) for study in studies for read in study.reads]
    for read, study in sorted(pairs, key=lambda pair: pair[0].id):
        cells = [*_read_cells(read, study), *_ai_cells(library, read, study)]
        writer.writerow([safe_cell(cell) for cell in cells])
    return stream.getvalue()


def safe_cell(text: str) -> str:
    """Text that no spreadsheet takes for a formula: an apostrophe before ``= + - @`` and control characters.

    Source: OWASP, "CSV Injection".
    """
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r", "\n"} else text


def _read_cells(read: ReadRecord, study: StudyRecord) -> list[str]:
    return [
        str(read.id),
        read.recorded_at,
        read.reader,
        study.patient_id,
        study.date,
        study.study_uid,
        _yes_no(study.phantom),
        _yes_no(read.blind),
        *_call_cells(read.call.right),
        *_call_cells(read.call.left),
        read.call.agreement,
        read.call.note,
        _yes_no(read.ai_id is not None),
    ]


def _call_cells(call: BreastCall | None) -> list[str]:
    if call is None:
        return ["", ""]
    return [_yes_no(call.recall), "" if call.suspicion is None else str(call.suspicion)]


def _ai_cells(library: Library, read: ReadRecord, study: StudyRecord) -> list[str]:
    result = _result_beside(library, read, study)
    if result is None:
        return [""] * 8
    breasts = {breast.laterality: breast.score for breast in result.breasts}
    point = result.model.operating_point
    return [
        _number(result.score),
        _number(breasts.get("R")),
        _number(breasts.get("L")),
        "" if result.flagged is None else _yes_no(result.flagged),
        "" if point is None else _number(point.threshold),
        result.model.name,
        result.model.version,
        result.model.sha256,
    ]


def _result_beside(library: Library, read: ReadRecord, study: StudyRecord) -> AiResult | None:
    if study.ai_hidden:
        return None
    if read.ai_id is not None:
        return library.ai_result(read.ai_id)
    return None if study.ai is None else study.ai.result


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"


def _yes_no(value: bool) -> str:
    return "yes" if value else "no"
