"""One of the processes that ``torchrun`` starts: a script that trains a set in a run folder or, without, shares work.

Each does one thing: processes that have parted cannot meet again under the same launcher.
"""

import sys
from pathlib import Path

import torch
import torch.distributed as dist

from mammo_train.distributed import joined
from mammo_train.fit import fit
from mammo_train.prepared_set import open_prepared
from mammo_train.recipe import Recipe
from tiny_set import halves, phase, tiny_recipe


def recipe() -> Recipe:
    """Return phases whose steps do not depend on which images share a process: batch norm is frozen."""
    return tiny_recipe(
        phase("head", trained=1),
        phase("last", trained=2, batch_norm="frozen", accumulate=2, ema=0.5),
        phase("all", batch_norm="frozen", batch_size=7, gradient_clip=1.0, sampling="positive_in_batch"),
    )


def _check_shares() -> None:
    """Every process gets every row's result, in order, whatever its share."""
    with joined() as world:
        for number in (1, 2, 3, 8):
            rows = torch.arange(number).numpy()
            found = world.in_shares(lambda share: torch.from_numpy(share)[:, None].to(torch.bfloat16) * 2, rows)
            assert found[:, 0].tolist() == [2.0 * row for row in range(number)]
        assert world.everywhere([float(world.rank), 5.0]).tolist() == [[0.0, 5.0], [1.0, 5.0]]
        mine = torch.full((2,), float(world.rank + 3))
        world.like_first([mine])
        assert mine.tolist() == [3.0, 3.0]
    assert not dist.is_initialized()


def main() -> None:
    """Train, or check how processes share."""
    torch.set_num_threads(1)
    if len(sys.argv) == 1:
        _check_shares()
        return
    data = open_prepared(Path(sys.argv[1]))
    fit(recipe(), data, halves(data), Path(sys.argv[2]))


if __name__ == "__main__":
    main()
