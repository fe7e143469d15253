"""Views grouped into studies: how they hang, what is missing, contradictory or unsuitable.

Knows nothing of files and pixels.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import PurePath

from mammo_core.mammogram import Header
from mammo_core.orientation import hanging_for
from mammo_core.projection import assigned_laterality, assigned_view

STANDARD_VIEWS = (("R", "CC"), ("L", "CC"), ("R", "MLO"), ("L", "MLO"))
"""The four views of a screening exam, in hanging order."""

UNSUITABLE_MODIFIERS = frozenset({"Spot Compression", "Magnification"})
"""CID 4015 modifiers of views that show a part of the breast, or show it larger: no model of whole views fits
them."""

UNSUITABLE_VIEWS = frozenset({"SPECIMEN"})


@dataclass(frozen=True)
class Study:
    """One examination of one patient."""

    uid: str
    """Study Instance UID, or empty where the files have none."""
    patient_id: str
    date: str
    """``YYYYMMDD`` or empty."""
    headers: tuple[Header, ...]
    """Its images: right before left, CC before MLO before others, then by file name."""
    other_patients: tuple[str, ...] = ()
    """Patient IDs that came with the same Study Instance UID, and make studies of their own."""

    @property
    def key(self) -> str:
        """A name for the study that is safe in a path or URL and the same wherever its files lie."""
        parts = (
            [self.uid, self.patient_id] if self.uid else ["", self.patient_id, self.date, _folder_of(self.headers[0])]
        )
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]

    @property
    def missing(self) -> tuple[str, ...]:
        """Standard views that no image of the study shows, such as ``"LMLO"``."""
        there = {(header.laterality, header.view) for header in self.headers if not unsuitable(header)}
        return tuple(f"{side}{view}" for side, view in STANDARD_VIEWS if (side, view) not in there)

    @property
    def unresolved(self) -> tuple[Header, ...]:
        """Images whose laterality or view is missing or contradictory: the reader is asked."""
        return tuple(header for header in self.headers if header.laterality is None or header.view is None)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences about the study as a whole; each image's own are in its header."""
        found = []
        if self.unresolved:
            files = ", ".join(header.file for header in self.unresolved)
            found.append(f"Laterality or view is not known: {files}.")
        if self.missing:
            found.append(f"Missing views: {', '.join(self.missing)}.")
        for header in self.headers:
            reason = unsuitable(header)
            if reason:
                found.append(f"{header.file} is not scored: {reason}.")
        if self.other_patients:
            others = ", ".join(patient or "none" for patient in self.other_patients)
            found.append(
                f"The same Study Instance UID also came with another patient ID ({others}): those images are a study"
                " of their own. Please check whose images these are."
            )
        if not self.uid:
            found.append("The files have no Study Instance UID: they are grouped by patient and date.")
        return tuple(found)


def unsuitable(header: Header) -> str:
    """Why a model of whole screening views must not score this image, or an empty string."""
    reasons = [modifier for modifier in header.view_modifiers if modifier in UNSUITABLE_MODIFIERS]
    if header.view in UNSUITABLE_VIEWS:
        reasons.append("tissue specimen")
    return ", ".join(reasons)


def group_studies(headers: Iterable[Header]) -> list[Study]:
    """Studies by Study Instance UID and patient; without UID by patient, date and (no patient either) folder.

    One UID under two patient IDs makes two studies that name each other: images of different people never hang
    together. The same file given twice counts once. Sorted by patient, then date, then UID.
    """
    groups: dict[tuple[str, ...], list[Header]] = {}
    seen: set[str] = set()
    for header in headers:
        if header.sha256 in seen:
            continue
        seen.add(header.sha256)
        folder = "" if header.patient_id else _folder_of(header)
        key = (
            (header.study_uid, header.patient_id)
            if header.study_uid
            else ("", header.patient_id, header.study_date, folder)
        )
        groups.setdefault(key, []).append(header)
    studies = [_study(found) for found in groups.values()]
    patients: dict[str, set[str]] = {}
    for study in studies:
        patients.setdefault(study.uid, set()).add(study.patient_id)
    studies = [
        replace(study, other_patients=tuple(sorted(patients[study.uid] - {study.patient_id}))) if study.uid else study
        for study in studies
    ]
    return sorted(studies, key=lambda study: (study.patient_id, study.date, study.uid, study.key))


def _study(headers: list[Header]) -> Study:
    first = headers[0]
    dates = sorted({header.study_date for header in headers} - {""})
    return Study(first.study_uid, first.patient_id, dates[0] if dates else "", tuple(sorted(headers, key=_hanging_key)))


def _hanging_key(header: Header) -> tuple[int, int, str, str]:
    views = {"CC": 0, "MLO": 1}
    sides = {"R": 0, "L": 1}
    return views.get(header.view or "", 2), sides.get(header.laterality or "", 2), header.file, header.sha256


def _folder_of(header: Header) -> str:
    return "" if header.patient_id else str(PurePath(header.file).parent)


def priors(study: Study, studies: Iterable[Study]) -> list[Study]:
    """Earlier studies of the same patient, newest first; none where patient ID or a date is empty."""
    if not study.patient_id or not study.date:
        return []
    earlier = [
        other
        for other in studies
        if other.key != study.key and other.patient_id == study.patient_id and "" < other.date < study.date
    ]
    return sorted(earlier, key=lambda other: other.date, reverse=True)


def hanging_order(study: Study) -> tuple[tuple[Header, ...], ...]:
    """Rows of a hanging: CC right then left, MLO right then left, then every other view by itself.

    Several images of one view stay beside each other, so a row may hold more than two; a row without images
    is left out.
    """
    rows: list[tuple[Header, ...]] = []
    for view in ("CC", "MLO"):
        row = [header for header in study.headers if header.view == view and header.laterality is not None]
        rows.append(tuple(sorted(row, key=_hanging_key)))
    placed = {header.sha256 for row in rows for header in row}
    others: dict[str, list[Header]] = {}
    for header in study.headers:
        if header.sha256 not in placed:
            others.setdefault(header.view or "", []).append(header)
    rows.extend(tuple(found) for _, found in sorted(others.items()))
    return tuple(row for row in rows if row)


def assign(
    header: Header,
    *,
    laterality: str | None = None,
    view: str | None = None,
    source: str = "entered by the reader",
) -> Header:
    """The header with laterality and view as a person says, its hanging worked out anew.

    None leaves a value as it is. Warnings that asked for the value are dropped. `InputError` for an unknown
    value.
    """
    changed = header
    if laterality is not None:
        side = assigned_laterality(laterality)
        hanging, warnings = hanging_for(side, header.patient_orientation, header.tissue_side)
        kept = _without(changed.warnings, "The laterality is ", "Patient Orientation (0020,0020) ", "The side of ")
        changed = replace(
            changed, laterality=side, laterality_source=source, hanging=hanging, warnings=(*kept, *warnings)
        )
    if view is not None:
        kept = _without(changed.warnings, "The view is ")
        changed = replace(changed, view=assigned_view(view), view_source=source, warnings=kept)
    return changed


def _without(warnings: tuple[str, ...], *beginnings: str) -> tuple[str, ...]:
    return tuple(warning for warning in warnings if not warning.startswith(beginnings))
