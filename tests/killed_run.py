"""Train a tiny recipe in a folder, killed with -9 again and again, until it is done: run as a script.

Every attempt is a forked process, so that torch is imported once. It kills itself after some steps, or when it is
about to write a state of which the log already tells. Prints how often it was killed, and where.
"""

import os
import signal
import sys
from pathlib import Path

import torch

import mammo_train.training
from mammo_core.phases import Augmentation
from mammo_train.fit import fit
from mammo_train.prepared_set import open_prepared
from mammo_train.recipe import Recipe
from tiny_set import halves, phase, tiny_recipe


def recipe() -> Recipe:
    """Return phases that have something of everything that must be carried over."""
    varied = Augmentation(flip_vertical=0.5, brightness=0.2)
    return tiny_recipe(
        phase("head", trained=1, augmentation=varied, feature_copies=2),
        phase("last", trained=2, ema=0.9, pos_weight=2.0, optimizer="sgd", accumulate=2, schedule="plateau"),
        phase("all", augmentation=varied, sampling="positive_in_batch", batch_size=4, ema=0.8, patience=2),
    )


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _attempt(folder: Path, run: Path, kill_after: int, *, in_mid_epoch: bool, at_save: int) -> None:
    """Carry on, and die after ``kill_after`` calls of ``tell``, or before the ``at_save``-th state is written."""
    torch.set_num_threads(1)
    told = saved = 0
    write = mammo_train.training.save_state

    def tell(what: str, _done: int, _total: int) -> None:
        nonlocal told
        told += "epoch" in what
        if told == kill_after:
            _die()

    def save(*given: object) -> None:
        nonlocal saved
        saved += 1
        if saved == at_save:
            _die()
        write(*given)  # type: ignore[arg-type]

    mammo_train.training.save_state = save
    data = open_prepared(folder)
    fit(recipe(), data, halves(data), run, resume=True, state_minutes=1e-9 if in_mid_epoch else 0.0, tell=tell)
    os._exit(0)


def main() -> None:
    """Attempt until it is done."""
    folder, run = Path(sys.argv[1]), Path(sys.argv[2])
    attempts = [
        {"kill_after": 1, "in_mid_epoch": False, "at_save": 0},  # before any state
        {"kill_after": 3, "in_mid_epoch": False, "at_save": 0},  # in the second epoch
        {"kill_after": 0, "in_mid_epoch": False, "at_save": 1},  # the epoch is in the log, not in the state
        {"kill_after": 0, "in_mid_epoch": False, "at_save": 2},  # between two phases
        {"kill_after": 2, "in_mid_epoch": True, "at_save": 0},  # in the last-stage phase, averages and all
        {"kill_after": 4, "in_mid_epoch": True, "at_save": 0},
        {"kill_after": 6, "in_mid_epoch": True, "at_save": 0},
        {"kill_after": 0, "in_mid_epoch": True, "at_save": 3},
        {"kill_after": 0, "in_mid_epoch": False, "at_save": 0},  # to the end
    ]
    killed = 0
    for number, attempt in enumerate(attempts, start=1):
        child = os.fork()
        if child == 0:
            _attempt(folder, run, **attempt)  # type: ignore[arg-type]
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            killed += 1
        elif number < len(attempts) or os.waitstatus_to_exitcode(status):
            raise SystemExit(f"attempt {number} was not killed but ended with {status}")
    print(killed)


if __name__ == "__main__":
    main()
