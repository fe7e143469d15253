"""What folds of a head alone cost each for itself, and sharing what the frozen layers give: processor seconds.

    python benchmarks/folds.py [SET] [--recipe screening256] [--set KEY=VALUE]... [--exams 16] [--folds 5]

SET is a prepared set; without it phantoms are made. Every fold is trained twice by the product's own training:
"alone" as a plain loop over folds does it, and "shared" as `mammo compare` does, with a folder in which the folds leave
what their frozen layers gave for a picture. Time is that of all of the process's threads; validation is in it, and
writing and reading the folder.
"""

import argparse
import tempfile
import time
from pathlib import Path

import torch

from mammo_core.checkpoint import load_checkpoint
from mammo_train.fit import fit
from mammo_train.phantom_set import phantom_command
from mammo_train.prepared_set import open_prepared
from mammo_train.recipe import load_recipe
from mammo_train.split import SplitSettings, make_split


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, metavar="SET")
    parser.add_argument("--recipe", default="screening256")
    parser.add_argument("--set", action="append", default=["weights=none"], dest="overrides", metavar="KEY=VALUE")
    parser.add_argument("--exams", type=int, default=16, help="phantoms that are made where no set is given")
    parser.add_argument("--size", default="256x192")
    parser.add_argument("--folds", type=int, default=5)
    given = parser.parse_args()
    recipe = load_recipe(given.recipe, given.overrides)
    totals = {"alone": 0.0, "shared": 0.0}
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.data or _phantoms(Path(scratch) / "set", given.exams, given.size)
        data = open_prepared(folder)
        print(f"{recipe.name}, {recipe.architecture.backbone}, {len(data.table)} images of {given.size}")
        for fold in range(given.folds):
            split = make_split(data.table, SplitSettings(folds=given.folds, fold=fold))
            weights = []
            for way in totals:
                shelf = Path(scratch) / "activations" if way == "shared" else None
                began = time.process_time()
                run = fit(recipe, data, split, Path(scratch) / f"{way}{fold}", shelf=shelf)
                totals[way] += time.process_time() - began
                weights.append(load_checkpoint(run).weights)
            far = max(float((weights[1][name].float() - one.float()).abs().max()) for name, one in weights[0].items())
            assert far < 1e-2, "sharing changes the result"
            print(f"fold {fold}: weights differ by {far:.1g} at most", end="; ")
            print(", ".join(f"{way} {seconds:.1f} s so far" for way, seconds in totals.items()))
    print(f"all folds: {totals['alone'] / totals['shared']:.1f}x; {torch.get_num_threads()} threads")


def _phantoms(folder: Path, exams: int, size: str) -> Path:
    phantom_command(folder, studies=exams, seed=1, prevalence=0.5, form="prepared", height=1024, size=size)
    return folder


if __name__ == "__main__":
    main()
