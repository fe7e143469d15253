"""What moving the Threshold tab's slider costs, on 20,000 validation cases, beside the usual bootstrap.

    python benchmarks/threshold.py [--cases N] [--rounds N]

One slider move measures the threshold, its subgroups, the workload and the cases that flip, each figure with its
interval over 2,000 draws of patients, and draws the page's HTML. Beside it: scikit-learn's `recall_score` and
`precision_score` in a Python loop over bootstrap draws, which is how such an interval is usually made, timed on a few
draws and extrapolated. Both in the same run, in processor time of this process and in wall time.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.metrics import precision_score, recall_score

from mammo_core.cases import Cases
from mammo_core.checkpoint import load_checkpoint
from mammo_core.library import Library
from mammo_core.model_files import find_model
from mammo_core.threshold_groups import GroupTable
from mammo_core.tradeoff import Tradeoff
from mammo_core.workload import Workload
from mammo_gui.bench import Aim, Bench, screen
from mammo_gui.views.threshold import counts_html, figures_html
from mammo_gui.views.threshold_cases import flips_html, groups_html
from mammo_gui.views.threshold_plots import plots_html

_USUAL_DRAWS = 20


def some_cases(count: int) -> Cases:
    """Two breasts of each patient, 2 % positive."""
    random = np.random.default_rng(0)
    labels = random.random(count) < 0.02
    groups = {
        "laterality": ("R", "L") * (count // 2),
        "density": tuple(random.choice(list("ABCD"), count).tolist()),
        "age": tuple(random.integers(40, 80, count).astype(str).tolist()),
        "manufacturer": tuple(random.choice(["One", "Two", "Three"], count).tolist()),
    }
    scores = random.beta(2, 8, count) + 0.2 * labels * random.random(count)
    return Cases(scores, labels, tuple(str(i // 2) for i in range(count)), "breast", "Made.", groups)


def timed(work: Callable[[int], object], rounds: int) -> tuple[float, float]:
    """Median wall and processor time of ``work(round)`` in ms."""
    wall, processor = [], []
    for number in range(rounds):
        started = time.perf_counter(), time.process_time()
        work(number)
        wall.append(1000 * (time.perf_counter() - started[0]))
        processor.append(1000 * (time.process_time() - started[1]))
    return statistics.median(wall), statistics.median(processor)


def usual(cases: Cases, threshold: float, draws: int) -> None:
    """Three rates with a bootstrap over patients, as notebooks have it."""
    random = np.random.default_rng(0)
    _, owner = np.unique(cases.patients, return_inverse=True)
    patients = int(owner.max()) + 1
    flagged = cases.scores >= threshold
    for _ in range(draws):
        weights = np.bincount(random.integers(0, patients, patients), minlength=patients)[owner]
        recall_score(cases.labels, flagged, sample_weight=weights)
        recall_score(~cases.labels, ~flagged, sample_weight=weights)
        precision_score(cases.labels, flagged, sample_weight=weights)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    cases, path = some_cases(given.cases), find_model()
    loaded = load_checkpoint(path)
    started = time.perf_counter()
    tradeoff = Tradeoff(cases)
    bench = Bench(loaded.sha256, loaded.header, tradeoff, GroupTable(cases, tradeoff.draws), Workload(cases))
    with tempfile.TemporaryDirectory() as folder, Library(Path(folder)) as library:

        def move(number: int) -> int:
            shown = screen(library, bench, Aim(threshold=0.25 + 0.003 * number))
            parts = (figures_html, plots_html, counts_html, groups_html, flips_html)
            return sum(len(part(shown)) for part in parts)

        move(0)
        print(f"{given.cases} cases of {given.cases // 2} patients, 2,000 draws, load aside")
        print(f"got ready once, curves and bands included    {time.perf_counter() - started:6.2f} s")
        wall, processor = timed(move, given.rounds)
        print(f"one move of the slider, page and all         {wall:6.0f} ms wall, {processor:6.0f} ms processor")
    wall_one, _ = timed(lambda number: tradeoff.at(0.25 + 0.003 * number), given.rounds)
    print(f"the eight large figures alone                {wall_one:6.0f} ms wall")
    wall_usual, _ = timed(lambda _: usual(cases, 0.3, _USUAL_DRAWS), 3)
    whole = wall_usual * 2000 / _USUAL_DRAWS
    print(f"three rates by scikit-learn in a loop         {whole / 1000:6.1f} s wall ({_USUAL_DRAWS} draws x 100)")
    print(f"three rates that way : eight figures here     {whole / wall_one:6.0f}x")


if __name__ == "__main__":
    main()
