"""What frozen layers gave for single pictures, in a folder from which other runs take it.

Knows nothing of networks. The folds of a comparison show the same pictures to the same layers, and so do its arms
and seeds where nothing else is different: whoever comes first does the work.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor

from mammo_core.files import write_atomic

Pairs = NDArray[np.intp]
"""``(n, 2)``: in which variant, and the row of which picture."""

_PAIRS, _VALUES, _SECONDS = "pairs", "values", "seconds"
"""Names of a file's three tensors."""


@dataclass(frozen=True)
class Found:
    """What a page has of some pairs."""

    known: NDArray[np.bool_]
    """``(n,)``: which it has."""
    values: Tensor | None
    """Their activations ``(n, ...)``, the others meaning nothing; None where it has none."""
    seconds: float
    """How long it took to compute them."""


@dataclass(frozen=True)
class Shelf:
    """A folder with a page for everything that activations depend on but the picture; it need not be there yet."""

    folder: Path
    data_sha256: str
    """The prepared set whose rows are meant."""

    def page(self, made_from: Mapping[str, object]) -> "Page":
        """Page of what these layers, settings and pictures give, in values that JSON can hold."""
        words = json.dumps({**made_from, "data": self.data_sha256}, sort_keys=True)
        identity = hashlib.sha256(words.encode()).hexdigest()
        return Page(self.folder / identity[:32])


@dataclass(frozen=True)
class Page:
    """Activations of single pictures, a file for each time that some were put there."""

    folder: Path

    def look_up(self, pairs: Pairs) -> Found:
        """See what is here of pairs that are all different; a damaged file is as good as absent."""
        known, values, seconds = np.zeros(len(pairs), np.bool_), None, 0.0
        places = {pair: place for place, pair in enumerate(map(tuple, pairs.tolist()))}
        for path in sorted(self.folder.glob("*.safetensors")):
            try:
                there, given, each = _read(path)
            except (OSError, KeyError, TypeError, ValueError, safetensors.SafetensorError):
                continue
            hits = [(place, at) for at, pair in enumerate(there) if (place := places.get(pair)) is not None]
            if not hits:
                continue
            if values is None:
                values = given.new_empty((len(pairs), *given.shape[1:]))
            mine, theirs = np.array(hits, np.intp).T
            values[torch.from_numpy(mine)] = given[torch.from_numpy(theirs)]
            known[mine] = True
            seconds += each * len(hits)
        return Found(known, values, seconds)

    def add(self, pairs: Pairs, values: Tensor, seconds: float) -> None:
        """Put activations ``(n, ...)`` of pairs here, which it took ``seconds`` to compute; whole or not at all.

        A disk that is full costs other runs this work, and not this one its own.
        """
        key = torch.from_numpy(pairs.astype(np.int64))
        each = torch.tensor(seconds / len(pairs), dtype=torch.float64)
        tensors = {_PAIRS: key, _VALUES: values.contiguous(), _SECONDS: each}
        name = fingerprint([(_PAIRS, key)])[:32]
        with suppress(OSError):
            write_atomic(self.folder / f"{name}.safetensors", safetensors.torch.save(tensors))


def fingerprint(tensors: Iterable[tuple[str, Tensor]]) -> str:
    """SHA-256 of named tensors, names and values."""
    digest = hashlib.sha256()
    for name, tensor in tensors:
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _read(path: Path) -> tuple[list[tuple[int, int]], Tensor, float]:
    """Pairs and activations of a file, and the seconds that each of them took."""
    tensors = safetensors.torch.load_file(path)
    there = [(variant, row) for variant, row in tensors[_PAIRS].tolist()]
    return there, tensors[_VALUES], float(tensors[_SECONDS])
