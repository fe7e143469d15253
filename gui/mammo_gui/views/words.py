"""How numbers, dates and sides are written on screen. Knows nothing of HTML."""

from mammo_core.library import StudyRecord, WorklistLine

SIDES = {"R": "Right", "L": "Left"}


def date_words(date: str) -> str:
    """``20190412`` as ``2019-04-12``; anything else as it stands, nothing as "no date"."""
    if len(date) == 8 and date.isdigit():
        return f"{date[:4]}-{date[4:6]}-{date[6:]}"
    return date or "no date"


def moment_words(moment: str) -> str:
    """``2026-01-02T03:04:05Z`` as ``2026-01-02 03:04 UTC``."""
    return f"{moment[:10]} {moment[11:16]} UTC"


def patient_words(study: StudyRecord | WorklistLine) -> str:
    """The patient's identifier, or that there is none."""
    return study.patient_id or "no patient ID"


def score_words(score: float | None, threshold: float | None = None) -> str:
    """A score with three decimals, or with as many as it takes to see on which side of the threshold it is.

    A threshold is written by the same function, alone: one precision everywhere.
    """
    if score is None:
        return "–"
    for decimals in (3, 4, 5):
        written = f"{score:.{decimals}f}"
        if threshold is None or written != f"{threshold:.{decimals}f}" or score == threshold:
            return written
    return f"{score:.6f}"


def percent_words(value: float) -> str:
    """A rate in [0, 1] as a percentage without decimals."""
    return f"{value:.0%}"


def label_words(laterality: str | None, view: str | None) -> str:
    """``RCC``; a question mark for what is not known."""
    return f"{laterality or '?'}{view or '?'}"
