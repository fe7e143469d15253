"""What each phase of a recipe costs without the cache of frozen layers, with it, and sharing it: processor seconds.

    python benchmarks/phases.py [SET] [--recipe progressive] [--set KEY=VALUE]... [--exams 40]

SET is a prepared set; without it phantoms are made. The product's own training runs three times on the same split.
"without": ``cache`` is off, and every picture goes through the frozen layers in every epoch, as in a plain loop;
"alone": each phase is made to compute its activations for itself; "shared": as it is, phases that show the same
pictures sharing them, with the same curve. Time is that of all of the process's threads, which other work on the
machine moves less than a clock on the wall; validation, the state on the disk and, with the cache, computing it are in
it. Phases that cache nothing cost the same in all columns, but for noise.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path
from unittest import mock

from mammo_train.fit import fit
from mammo_train.phantom_set import phantom_command
from mammo_train.prepared_set import PreparedSet, open_prepared
from mammo_train.recipe import Recipe, load_recipe
from mammo_train.run import read_log
from mammo_train.split import Split, make_split

_WAYS = ("without", "alone", "shared")
_SMALL = ("backbone=tf_efficientnet_lite0", "weights=none", "phases.*.batch_size=32")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, metavar="SET")
    parser.add_argument("--recipe", default="progressive")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE")
    parser.add_argument("--exams", type=int, default=40, help="phantoms that are made where no set is given")
    parser.add_argument("--size", default="256x192")
    given = parser.parse_args()
    recipe = load_recipe(given.recipe, (*_SMALL, *given.overrides))
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.data or _phantoms(Path(scratch) / "set", given.exams, given.size)
        data = open_prepared(folder)
        split = make_split(data.table, recipe.split)
        images = len(split.rows(data.table, "train"))
        print(
            f"{recipe.name}, {recipe.architecture.backbone}, {images} training images of {data.inputs.height} x", end=""
        )
        print(f" {data.inputs.width}")
        taken = [_seconds(recipe, data, split, Path(scratch) / way, way) for way in _WAYS]
        assert _curve(Path(scratch) / "alone") == _curve(Path(scratch) / "shared"), "sharing changes the result"
    for phase, *seconds in zip(recipe.phases, *taken, strict=True):
        layers = "all layers" if phase.trained == "all" else f"last {phase.trained} groups"
        _print(f"{phase.name:<20} {layers:<14} {phase.epochs:>3} epochs", seconds)
    _print("whole recipe", [sum(seconds) for seconds in taken])


def _print(what: str, seconds: Sequence[float]) -> None:
    plain, alone, shared = seconds
    times = "".join(f"   {way} {each:7.1f} s" for way, each in zip(_WAYS, seconds, strict=True))
    print(f"{what:<46}{times}   cache {plain / alone:4.1f}x   sharing {alone / shared:4.1f}x")


def _phantoms(folder: Path, exams: int, size: str) -> Path:
    phantom_command(folder, studies=exams, seed=1, prevalence=0.5, form="prepared", height=1024, size=size)
    return folder


def _seconds(recipe: Recipe, data: PreparedSet, split: Split, run: Path, way: str) -> list[float]:
    """Processor seconds of every phase, from the step before it that is told to its last epoch's end."""
    ends: dict[str, float] = {}
    began = time.process_time()

    def note(text: str) -> None:
        # "epoch   3 full_head: loss ...": the last one of each phase stays.
        if text.startswith("epoch"):
            ends[text.split(":")[0].split()[-1]] = time.process_time()

    each_for_itself = mock.patch("mammo_train.feeds.showing_the_same", lambda phases: phases[:1])
    with each_for_itself if way == "alone" else nullcontext():
        fit(recipe, data, split, run, cache=way != "without", note=note)
    marks = [began, *(ends[phase.name] for phase in recipe.phases)]
    return [end - start for start, end in pairwise(marks)]


def _curve(run: Path) -> list[tuple[object, object]]:
    epochs = [event for event in read_log(run) if event["event"] == "epoch"]
    return [(event["train_loss"], event["validation_loss"]) for event in epochs]


if __name__ == "__main__":
    main()
