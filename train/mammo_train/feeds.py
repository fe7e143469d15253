"""What each phase of a run is fed: pictures, or activations, which phases that show the same pictures share.

Knows nothing of how layers learn. In a stretch of phases that show the same images in the same variants, no layer
before the earliest of their cuts learns: what is kept there is computed once, and what is kept at later cuts is
computed of it. The results are those of every phase working for itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
import torch
from numpy.typing import NDArray

from mammo_core.model import Model
from mammo_core.phases import Augmentation, Phase
from mammo_train.cached import NOWHERE, Activations, Done, Kept, Pages, Passage, place_for
from mammo_train.cut import Cut, between, cut
from mammo_train.feed import Feed, PictureFeed, Source, kept_variants
from mammo_train.precision import Network
from mammo_train.scoring import batch_of
from mammo_train.shelf import Shelf, fingerprint

Rows = NDArray[np.intp]

Tell = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


@dataclass(frozen=True)
class Base:
    """Activations at a cut, of which others behind it can be made."""

    cut: Cut
    kept: Kept


class Feeds:
    """Feeds the phases of a run, one after the other."""

    def __init__(
        self,
        model: Model,
        source: Source,
        half: torch.dtype | None,
        tell: Tell,
        *,
        cache: bool,
        shelf: Shelf | None = None,
    ) -> None:
        """``cache`` off feeds pictures alone; ``tell`` may raise, to end it.

        ``shelf`` is where runs of the same prepared set leave what whole frozen backbones gave for one another.
        """
        self._model = model
        self._source = source
        self._half = half
        self._tell = tell
        self._cache = cache
        self._shelf = shelf
        self._held: Base | None = None
        """What the phase to come begins with."""
        self.spared = 0.0
        """Seconds that the last phase's activations would have taken longer without the shelf."""

    def next(self, phases: Sequence[Phase], rows: Rows) -> tuple[Feed, str]:
        """Feed the first of the ``phases`` that are left, which learns from ``rows``; and say in words with what.

        Activations where frozen layers can be cached and memory allows, else pictures.
        """
        phase, variants, self.spared = phases[0], kept_variants(phases[0]), 0.0
        cuts = self._cuts(phases)
        if not cuts:
            return PictureFeed(self._source, self._network(), phase, fixed=variants), "pictures"
        at_once = batch_of(self._source.inputs, self._model.architecture)
        passage = Passage(self._source, phase, rows, at_once, self._half)
        kept, words = self._kept(phases, cuts, passage)
        self.spared = passage.spared
        if kept is None:
            return PictureFeed(self._source, self._network(), phase, fixed=variants), f"pictures: {words}"
        words = f"activations of the frozen layers, {variants} of each image, {_mebibytes(kept)}{words}"
        return Activations(self._source, self._network(cuts[0]), phase, rows, kept), words

    def _cuts(self, phases: Sequence[Phase]) -> list[Cut]:
        """Cut the model for the first phase and for those after it that show the same, up to where it cannot be."""
        if not self._cache or not kept_variants(phases[0]):
            return []
        cuts = []
        for phase in showing_the_same(phases):
            found = cut(self._model, phase)
            if found is None:
                break
            cuts.append(found)
        return cuts

    def _kept(self, phases: Sequence[Phase], cuts: Sequence[Cut], passage: Passage) -> tuple[Kept | None, str]:
        """Give the first phase's activations, and hold what the next begins with; None, and why, without room."""
        own, base, origin = cuts[0], self._held, "kept from the phase before"
        self._held = None
        words = f", {origin}"
        if base is None:
            base, words = self._begun(phases, cuts, passage), ""
            if base is None:
                needed = passage.bytes_behind(own.frozen) / 2**30
                return None, f"activations of frozen layers would take {needed:.1f} GiB of memory"
            origin = f"that {phases[cuts.index(base.cut)].name} begins with too"
        kept: Kept | None = base.kept
        if base.cut.steps < own.steps:
            words = f", of {_mebibytes(base.kept)} {origin}"
            kept = self._behind(base, own, passage, phases[0].name)
        if kept is None:  # No room beside what was held: it goes.
            base = None
            return self._kept(phases, cuts[:1], passage)
        if len(cuts) > 1 and base.cut.steps <= cuts[1].steps:
            self._held = base
        return kept, words

    def _begun(self, phases: Sequence[Phase], cuts: Sequence[Cut], passage: Passage) -> Base | None:
        """Compute activations of pictures: where all the phases can begin with them, or for the first alone."""
        own = cuts[0]
        for first in (min(cuts, key=lambda found: found.steps), own):
            needed = passage.bytes_behind(first.frozen)
            if first.steps < own.steps:
                needed += passage.bytes_behind(own.frozen)
            place = self._agreed(place_for(needed, self._source.world.device))
            if place is not None:
                shared = "" if first is own else f", shared with {phases[cuts.index(first)].name}"
                done = self._telling(f"{phases[0].name}: frozen layers{shared}")
                pages = self._pages(phases[0]) if first.pooled else NOWHERE
                return Base(first, passage.of_pictures(first.frozen, place, done, pages))
        return None

    def _pages(self, phase: Phase) -> Pages:
        """Where on the shelf a phase's pooled pictures lie, by all that they depend on; nowhere without a shelf.

        Several processes share the work itself instead.
        """
        if self._shelf is None or self._source.world.size > 1:
            return NOWHERE
        frozen = [pair for pair in self._model.state_dict().items() if not pair[0].startswith("head.")]
        shared = {
            "layers": fingerprint(frozen),
            "architecture": self._model.architecture.model_dump_json(),
            "inputs": self._source.inputs.model_dump_json(),
            "arithmetic": [str(self._half), self._source.world.device.type, torch.__version__],
        }
        same = phase.augmentation == Augmentation()
        varied = {"augmentation": phase.augmentation.model_dump_json(), "seed": None if same else self._source.seed}
        return self._shelf.page({**shared, **varied}), self._shelf.page({**shared, "as_they_are": True})

    def _behind(self, base: Base, own: Cut, passage: Passage, name: str) -> Kept | None:
        """Make activations of those at a cut in front; None without room for both."""
        place = self._agreed(place_for(passage.bytes_behind(own.frozen), self._source.world.device, base.kept))
        if place is None:
            return None
        layers = between(self._model, base.cut, own)
        return passage.of_kept(base.kept, layers, place, self._telling(f"{name}: frozen layers"))

    def _agreed(self, place: torch.device | None) -> torch.device | None:
        """All processes have room or none has: they compute activations together."""
        return place if self._source.world.everywhere([float(place is not None)])[:, 0].all() else None

    def _telling(self, what: str) -> Done:
        return lambda done, total: self._tell(what, done, total)

    def _network(self, parts: Cut | None = None) -> Network:
        """Make the network that learns: all of the model, or what is behind a cut."""
        return Network(self._model, None if parts is None else parts.rest, self._half)


def showing_the_same(phases: Sequence[Phase]) -> list[Phase]:
    """Return the first phases that learn from the same images in the same kept variants, one after the other."""
    shown = [(phase.subset, phase.augmentation, kept_variants(phase)) for phase in phases]
    return [phase for phase, _ in takewhile(lambda pair: pair[1] == shown[0], zip(phases, shown, strict=True))]


def _mebibytes(kept: Kept) -> str:
    return f"{kept.nbytes / 2**20:.1f} MiB"
