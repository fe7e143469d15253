"""Files and folders into the library: each is decoded once at full resolution, kept, or refused with a reason.

Knows nothing of scores.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from mammo_core.errors import InputError
from mammo_core.files import sha256_of
from mammo_core.intake import CORRECTIONS, Assignment, Candidate, Refusal, candidates, folder_corrections
from mammo_core.library.library import Library
from mammo_core.mammogram import Header
from mammo_core.sandbox import DecodeSandbox
from mammo_core.study import assign


@dataclass(frozen=True)
class Added:
    """A file that is in the library now; ``known`` says that it was there before."""

    file: str
    study_id: int
    known: bool


@dataclass(frozen=True)
class Step:
    """One file dealt with: number ``done`` of ``total``."""

    done: int
    total: int
    outcome: Added | Refusal


def add(
    library: Library,
    paths: Iterable[Path],
    sandbox: DecodeSandbox,
    *,
    progress: Callable[[Step], None],
    shown_below: Path | None = None,
) -> list[Added | Refusal]:
    """Add every mammogram among files, folders and zip archives; one bad file never stops the rest.

    A file that the library holds already changes nothing. ``progress`` is called after each file. Files are named
    by their path, without ``shown_below`` where they lie in that folder.
    """
    paths = list(paths)
    corrections, outcomes = _corrections(paths)
    with candidates(paths) as (found, refused):
        found = [Candidate(each.path, _shown(each.name, shown_below)) for each in found]
        outcomes += [Refusal(_shown(each.file, shown_below), each.reason) for each in refused]
        total = len(found) + len(outcomes)
        for done, candidate in enumerate(found, start=len(outcomes) + 1):
            outcome = _add_one(library, candidate, corrections.get(candidate.path), sandbox)
            outcomes.append(outcome)
            progress(Step(done, total, outcome))
    return outcomes


def _corrections(paths: Iterable[Path]) -> tuple[dict[Path, Assignment], list[Added | Refusal]]:
    """What every ``folder.csv`` below the folders given says of its files, and those that are refused."""
    said: dict[Path, Assignment] = {}
    refused: list[Added | Refusal] = []
    for folder in (path for path in paths if path.is_dir()):
        for parent in sorted(found.parent for found in folder.rglob(CORRECTIONS)):
            try:
                said |= {parent / name: assignment for name, assignment in folder_corrections(parent).items()}
            except InputError as error:
                refused.append(Refusal(error.subject, error.reason))
    return said, refused


def _add_one(
    library: Library, candidate: Candidate, correction: Assignment | None, sandbox: DecodeSandbox
) -> Added | Refusal:
    try:
        known = library.study_of(sha256_of(candidate.path))
        if known is not None:
            return Added(candidate.name, known, known=True)
        mammogram = sandbox.read(candidate.path, name=candidate.name)
        if correction is not None:
            header = _corrected(mammogram.header, correction)
            mammogram = replace(mammogram, header=header)
        phantom = mammogram.header.phantom
        study_id = library.add_image(mammogram, candidate.path.read_bytes(), phantom=phantom)
    except InputError as error:
        return Refusal(candidate.name, error.reason)
    except OSError as error:
        return Refusal(candidate.name, f"cannot be read or kept: {error.strerror or error}")
    return Added(candidate.name, study_id, known=False)


def _shown(name: str, below: Path | None) -> str:
    return name if below is None else name.removeprefix(f"{below}{os.sep}")


def _corrected(header: Header, correction: Assignment) -> Header:
    return assign(header, laterality=correction.laterality, view=correction.view, source="folder.csv beside the file")
