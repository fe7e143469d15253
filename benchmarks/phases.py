"""What each phase of a recipe costs with and without the cache of frozen layers: processor seconds in one run.

    python benchmarks/phases.py [SET] [--recipe progressive] [--set KEY=VALUE]... [--exams 40]

SET is a prepared set; without it phantoms are made. The product's own training runs twice on the same split: with
``cache`` off every picture goes through the frozen layers in every epoch, as in a plain loop. Time is that of all of
the process's threads, which other work on the machine moves less than a clock on the wall; validation, the state on
the disk and, with the cache, computing it are in it. Phases that cache nothing cost the same in both columns, but for
noise.
"""

import argparse
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from mammo_train.fit import fit
from mammo_train.phantom_set import phantom_command
from mammo_train.prepared_set import PreparedSet, open_prepared
from mammo_train.recipe import Recipe, load_recipe
from mammo_train.split import Split, make_split

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
        taken = [_seconds(recipe, data, split, Path(scratch) / str(cache), cache=cache) for cache in (False, True)]
    for phase, plain, cached in zip(recipe.phases, *taken, strict=True):
        layers = "all layers" if phase.trained == "all" else f"last {phase.trained} groups"
        print(
            f"{phase.name:<20} {layers:<14} {phase.epochs:>3} epochs   without {plain:8.1f} s   with {cached:8.1f} s   "
            f"{plain / cached:5.1f}x"
        )
    whole = [sum(seconds) for seconds in taken]
    print(f"{'whole recipe':<46} without {whole[0]:8.1f} s   with {whole[1]:8.1f} s   {whole[0] / whole[1]:5.1f}x")


def _phantoms(folder: Path, exams: int, size: str) -> Path:
    phantom_command(folder, studies=exams, seed=1, prevalence=0.5, form="prepared", height=1024, size=size)
    return folder


def _seconds(recipe: Recipe, data: PreparedSet, split: Split, run: Path, *, cache: bool) -> list[float]:
    """Processor seconds of every phase, from the step before it that is told to its last epoch's end."""
    ends: dict[str, float] = {}
    began = time.process_time()

    def note(text: str) -> None:
        # "epoch   3 full_head: loss ...": the last one of each phase stays.
        if text.startswith("epoch"):
            ends[text.split(":")[0].split()[-1]] = time.process_time()

    fit(recipe, data, split, run, cache=cache, note=note)
    marks = [began, *(ends[phase.name] for phase in recipe.phases)]
    return [end - start for start, end in pairwise(marks)]


if __name__ == "__main__":
    main()
