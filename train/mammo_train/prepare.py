"""A listed data set -> a prepared set: every image read, shown and scaled as the reader of exams would do it.

Pictures are written one by one and whole, and a ledger says which file each was made from: an interrupted run is
carried on, and nothing is converted twice. Knows nothing of the layouts of data sets.
"""

import json
import os
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from mammo_core.errors import InputError
from mammo_core.files import sha256_of, write_atomic
from mammo_core.inputs import InputSettings
from mammo_core.intake import Refusal
from mammo_train.crew import Answer, answers
from mammo_train.prepared_picture import Entry, job_of, prepare_image
from mammo_train.prepared_set import TABLE, Record, Refused, Warned, claim, write_record
from mammo_train.sources.listing import Source, SourceImage
from mammo_train.table import counts, table_csv

Answering = Callable[..., Generator[Answer]]
"""Who does the work: called as `mammo_train.crew.answers` is, with None for as many workers as it has."""
LEDGER = "ledger.jsonl"
"""One line per image: what it was made from, how large its files are, what was odd. Written as images are done."""


def prepare(
    source: Source,
    out: Path,
    inputs: InputSettings,
    *,
    bits: int = 8,
    workers: int | None = None,
    answering: Answering | None = None,
    progress: Callable[[int, int], None] | None = None,
    tell: Callable[[Refusal], None] | None = None,
) -> Record:
    """Write ``source`` into ``out`` and return what ``prepared.json`` says in the end.

    Images that are there already, made from the same files, are kept. ``workers`` is the number of processes (all
    cores if None), ``answering`` who does the work, by default those. ``progress`` is called with the number of images
    done and their total, ``tell`` with every refused file at once. Raises `InputError` where ``out`` holds something
    else or a set of other settings; a bad file raises nothing.
    """
    plain = inputs.model_copy(update={"mean": (0.0,), "std": (1.0,)})
    record = Record.model_validate({"source": source.name, "inputs": plain, "bits": bits, "notes": source.notes})
    claim(out, record)
    _remove_unfinished(out)
    refused = list(source.refused)
    for refusal in refused:
        _call(tell, refusal)
    kept = _kept(source, out)
    wanted = [image for image in source.images if image.image_id not in kept]
    done = len(kept)
    _call(progress, done, len(source.images))
    work = partial(prepare_image, inputs=plain, bits=bits, out=str(out))
    asked = [job_of(image) for image in wanted]
    found = (
        answering(work, asked, workers=workers)
        if answering
        else answers(work, asked, workers=workers or os.cpu_count() or 1)
    )
    with (out / LEDGER).open("ab") as ledger, closing(found):
        for answer in found:
            image = wanted[answer.index]
            if answer.trouble is not None:
                refused.append(Refusal(image.name, answer.trouble))
                _call(tell, refused[-1])
            else:
                kept[image.image_id] = answer.reply
                ledger.write(json.dumps({"image_id": image.image_id, **answer.reply}).encode() + b"\n")
                ledger.flush()
            done += 1
            _call(progress, done, len(source.images))
    return _finish(source, out, record, kept, refused)


def _kept(source: Source, out: Path) -> dict[str, Entry]:
    """Entries of the images that need no work: whole, and made from what the source holds now."""
    entries = _entries(out / LEDGER)
    return {
        image.image_id: entries[image.image_id]
        for image in source.images
        if image.image_id in entries and _is_current(image, out, entries[image.image_id])
    }


def _entries(path: Path) -> dict[str, Entry]:
    """The last entry of each image; a line that was cut off when the run was killed says nothing."""
    found: dict[str, Entry] = {}
    lines = path.read_bytes().splitlines() if path.is_file() else []
    for line in lines:
        try:
            entry = json.loads(line)
            found[entry.pop("image_id")] = entry
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    if lines and not path.read_bytes().endswith(b"\n"):
        with path.open("ab") as stream:
            stream.write(b"\n")
    return found


def _is_current(image: SourceImage, out: Path, entry: Entry) -> bool:
    mask = image.mask.name if image.mask else None
    try:
        if (out / image.row["file"]).stat().st_size != entry["image_bytes"] or entry.get("mask") != mask:
            return False
        if image.mask and (
            (out / image.row["mask"]).stat().st_size != entry["mask_bytes"]
            or image.mask.stat().st_size != entry["mask_size"]
        ):
            return False
        status = image.path.stat()
        if status.st_size != entry["size"]:
            return False
        # a copied data set has new times: then the content decides
        return bool(status.st_mtime_ns == entry["mtime_ns"] or sha256_of(image.path) == entry["sha256"])
    except (OSError, KeyError):
        return False


def _finish(source: Source, out: Path, record: Record, kept: dict[str, Entry], refused: Iterable[Refusal]) -> Record:
    """Write the table and the record, in the order of the source; `InputError` where nothing is left."""
    images = [image for image in source.images if image.image_id in kept]
    rows = [dict(image.row) for image in images]
    warned = [Warned(file=image.name, warnings=kept[image.image_id]["warnings"]) for image in images]
    finished = record.model_copy(
        update={
            "counts": counts(rows) if rows else None,
            "warned": tuple(found for found in warned if found.warnings),
            "refused": tuple(
                Refused(file=one.file, reason=one.reason) for one in sorted(refused, key=lambda one: one.file)
            ),
        }
    )
    if rows:
        if hasattr(os, "sync"):
            os.sync()  # a table that is there after a power cut has its pictures
        write_atomic(out / TABLE, table_csv(rows))
    write_record(out, finished)
    if not rows:
        raise InputError(str(source.folder), "has no image that can be used; prepared.json says why for each")
    return finished


def _remove_unfinished(out: Path) -> None:
    """Remove what a killed run was writing."""
    for folder in ("images", "masks"):
        for path in (out / folder).glob(".writing-*"):
            path.unlink(missing_ok=True)


def _call(listener: Callable[..., None] | None, *news: Any) -> None:
    if listener is not None:
        listener(*news)
