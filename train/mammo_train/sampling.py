"""Which images come in which step of an epoch, in every process alike and on every machine the same.

Knows nothing of pixels: rows of a table and their labels in, rows out.
"""

import math
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from mammo_core.errors import InputError
from mammo_core.phases import Phase

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Batch:
    """One process's images of one step of the optimiser."""

    rows: Rows
    """Rows ``(n,)`` of the table."""
    copies: Rows
    """``(n,)``: how often the same image came before in this epoch, so that a repeated one is varied anew."""
    images: int
    """Images in the whole step, over all processes."""


def epoch_batches(
    rows: Rows,
    labels: NDArray[np.bool_],
    phase: Phase,
    *,
    seed: int,
    epoch: int,
    world_size: int = 1,
    rank: int = 0,
) -> list[Batch]:
    """Divide an epoch into steps, and each step among the processes: this is the share of process ``rank``.

    ``labels`` ``(N,)`` belong to ``rows`` ``(N,)``. All processes together see every image that the sampling draws
    exactly once, in steps that differ in size by one image at most, so that no epoch ends on a step of a few.
    Raises InputError where there is no positive to put into a batch, or less than one image a process.
    """
    random = np.random.default_rng([seed, epoch])
    steps = math.ceil(_drawn(labels, phase) / phase.batch_size)
    if phase.sampling == "balanced":
        found = _balanced(labels, phase, steps, random)
    elif phase.sampling == "positive_in_batch":
        found = _with_positives(labels, phase, steps, random)
    else:
        found = np.array_split(random.permutation(len(rows)), steps)
    if min(map(len, found)) < world_size:
        reason = f"{len(rows)} images make steps of {min(map(len, found))} for {world_size} processes"
        raise InputError(f"phase {phase.name}: batch_size", f"{reason}, expected one image for each at least")
    seen = np.zeros(len(rows), np.intp)
    batches = []
    for members in found:
        copies = _counted(members, seen)
        mine = slice(rank, None, world_size)
        batches.append(Batch(rows[members[mine]], copies[mine], len(members)))
    return batches


def positives_drawn(labels: NDArray[np.bool_], phase: Phase) -> tuple[int, int]:
    """Return how many positives, and how many images in all, an epoch draws from labels ``(N,)``."""
    positives, drawn = int(labels.sum()), _drawn(labels, phase)
    if phase.sampling == "balanced":
        return drawn // 2, drawn
    if phase.sampling == "positive_in_batch":
        return max(positives, math.ceil(drawn / phase.batch_size)), drawn
    return positives, drawn


def _drawn(labels: NDArray[np.bool_], phase: Phase) -> int:
    """Return the number of images in an epoch: all of them, or twice the commoner class."""
    positives = int(labels.sum())
    return 2 * max(positives, labels.size - positives) if phase.sampling == "balanced" else labels.size


def _balanced(labels: NDArray[np.bool_], phase: Phase, steps: int, random: np.random.Generator) -> list[Rows]:
    """As many positives as negatives in every step: the commoner class once, the rarer repeated evenly."""
    positive, negative = _classes(labels, phase)
    each = max(positive.size, negative.size)
    halves = [np.array_split(_repeated(part, each, random), steps) for part in (positive, negative)]
    return [random.permutation(np.concatenate(pair)) for pair in zip(*halves, strict=True)]


def _with_positives(labels: NDArray[np.bool_], phase: Phase, steps: int, random: np.random.Generator) -> list[Rows]:
    """Deal the positives out evenly, repeated where there are fewer than steps; negatives fill up, each once.

    As many negatives as positives are repeated are left out of the epoch, others every time.
    """
    positive, negative = _classes(labels, phase)
    dealt = np.array_split(_repeated(positive, max(positive.size, steps), random), steps)
    fill = iter(random.permutation(negative))
    # Sizes and positives are both larger in the first steps where they do not divide evenly: a part always fits.
    sizes = [len(part) for part in np.array_split(np.arange(labels.size), steps)]
    return [
        random.permutation(np.array([*part, *islice(fill, size - len(part))], np.intp))
        for size, part in zip(sizes, dealt, strict=True)
    ]


def _classes(labels: NDArray[np.bool_], phase: Phase) -> tuple[Rows, Rows]:
    positive, negative = np.flatnonzero(labels), np.flatnonzero(~labels)
    if not positive.size or not negative.size:
        reason = f'"{phase.sampling}" needs both classes; got {positive.size} positive and {negative.size} negative'
        raise InputError(f"phase {phase.name}: sampling", reason)
    return positive, negative


def _repeated(part: Rows, wanted: int, random: np.random.Generator) -> Rows:
    """Shuffle ``part`` as often as it takes to have ``wanted`` entries: no image again before all others came."""
    rounds = math.ceil(wanted / part.size)
    return np.concatenate([random.permutation(part) for _ in range(rounds)])[:wanted]


def _counted(members: Rows, seen: Rows) -> Rows:
    """Return how often each member came before, counting it in ``seen``."""
    copies = np.empty_like(members)
    for place, member in enumerate(members):
        copies[place] = seen[member]
        seen[member] += 1
    return copies
