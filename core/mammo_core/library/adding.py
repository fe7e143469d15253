"""Files and folders into the library: each is decoded once at full resolution, kept, or refused with a reason.

Knows nothing of scores.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from mammo_core.corrections import Assignment
from mammo_core.errors import InputError
from mammo_core.files import sha256_of
from mammo_core.intake import Candidate, Given, Refusal, candidates
from mammo_core.library.library import Library
from mammo_core.mammogram import Header
from mammo_core.sandbox import DecodeSandbox
from mammo_core.study import assign

UNPACKING = "unpacking"
"""Folder of the library that members of archives are unpacked to, one at a time."""


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
    library: Library, given: Iterable[Path | Given], sandbox: DecodeSandbox, *, progress: Callable[[Step], None]
) -> list[Added | Refusal]:
    """Add every mammogram among files, folders and zip archives; one bad file never stops the rest.

    A file that the library holds already changes nothing. ``progress`` is called after each file.
    """
    with candidates(given, library.folder / UNPACKING) as (found, refused):
        outcomes: list[Added | Refusal] = [*refused]
        total = len(found) + len(outcomes)
        for done, candidate in enumerate(found, start=len(outcomes) + 1):
            outcome = _add_one(library, candidate, sandbox)
            outcomes.append(outcome)
            progress(Step(done, total, outcome))
    return outcomes


def _add_one(library: Library, candidate: Candidate, sandbox: DecodeSandbox) -> Added | Refusal:
    try:
        with candidate.opened() as path:
            known = library.study_of(sha256_of(path))
            if known is not None:
                return Added(candidate.name, known, known=True)
            mammogram = sandbox.read(path, name=candidate.name)
            if candidate.said is not None:
                mammogram = replace(mammogram, header=_corrected(mammogram.header, candidate.said))
            study_id = library.add_image(mammogram, path, phantom=mammogram.header.phantom)
    except InputError as error:
        return Refusal(candidate.name, error.reason)
    except OSError as error:
        return Refusal(candidate.name, f"cannot be read or kept: {error.strerror or error}")
    return Added(candidate.name, study_id, known=False)


def _corrected(header: Header, correction: Assignment) -> Header:
    return assign(header, laterality=correction.laterality, view=correction.view, source="folder.csv beside the file")
