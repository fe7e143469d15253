"""Steps of an epoch: nothing lost, nothing doubled, a positive where one is promised, alike in every process."""

import numpy as np
import pytest

from mammo_core.errors import InputError
from mammo_core.phases import Phase
from mammo_train.sampling import epoch_batches, positives_drawn

RARE = np.arange(1000) % 50 == 7  # 20 of 1,000 images are positive: RSNA's 2 %
ROWS = np.arange(5000, 6000)


def made_phase(**changes: object) -> Phase:
    return Phase.model_validate({"name": "p", "epochs": 1, "learning_rate": 0.1, **changes})


def rows_of(batches) -> np.ndarray:
    return np.concatenate([batch.rows for batch in batches])


def test_shuffled_images_come_once_each_in_even_steps():
    batches = epoch_batches(ROWS, RARE, made_phase(batch_size=128), seed=0, epoch=0)
    assert [batch.images for batch in batches] == [125] * 8  # not seven of 128 and one of 104
    assert sorted(rows_of(batches)) == ROWS.tolist()
    assert rows_of(batches).tolist() != ROWS.tolist()
    assert not any(batch.copies.any() for batch in batches)


def test_the_studys_421_images_make_four_steps():
    batches = epoch_batches(np.arange(421), np.arange(421) % 2 == 0, made_phase(batch_size=128), seed=0, epoch=0)
    assert [batch.images for batch in batches] == [106, 105, 105, 105]


def test_an_epoch_depends_on_seed_and_number_alone():
    phase = made_phase(batch_size=64)
    first, again, other, reseeded = (
        rows_of(epoch_batches(ROWS, RARE, phase, seed=seed, epoch=epoch)).tolist()
        for seed, epoch in ((0, 0), (0, 0), (0, 1), (1, 0))
    )
    assert first == again
    assert first != other
    assert first != reseeded


@pytest.mark.parametrize("batch_size", [16, 32, 100])
def test_every_batch_has_a_positive(batch_size):
    phase = made_phase(batch_size=batch_size, sampling="positive_in_batch")
    batches = epoch_batches(ROWS, RARE, phase, seed=0, epoch=0)
    drawn = np.concatenate([RARE[batch.rows - 5000] for batch in batches])
    assert min(RARE[batch.rows - 5000].sum() for batch in batches) >= 1
    assert len(drawn) == 1000
    assert (drawn.sum(), len(drawn)) == positives_drawn(RARE, phase)
    negatives = rows_of(batches)[~drawn]
    assert len(set(negatives)) == len(negatives)


def test_positives_are_repeated_only_where_there_are_too_few():
    # 63 steps of 16, 20 positives: each comes three times or four. In 10 steps of 100 each comes once.
    for batch_size, expected in ((16, {3, 4}), (100, {1})):
        phase = made_phase(batch_size=batch_size, sampling="positive_in_batch")
        batches = epoch_batches(ROWS, RARE, phase, seed=0, epoch=0)
        drawn = rows_of(batches)
        _, counts = np.unique(drawn[RARE[drawn - 5000]], return_counts=True)
        assert len(counts) == 20
        assert set(counts.tolist()) == expected


def test_a_repeated_image_is_told_apart():
    phase = made_phase(batch_size=16, sampling="positive_in_batch")
    batches = epoch_batches(ROWS, RARE, phase, seed=0, epoch=0)
    seen: dict[int, list[int]] = {}
    for batch in batches:
        for row, copy in zip(batch.rows.tolist(), batch.copies.tolist(), strict=True):
            seen.setdefault(row, []).append(copy)
    assert all(copies == list(range(len(copies))) for copies in seen.values())
    assert max(map(len, seen.values())) == 4


def test_negatives_left_out_of_one_epoch_come_in_another():
    phase = made_phase(batch_size=16, sampling="positive_in_batch")
    left_out = [
        set(ROWS.tolist()) - set(rows_of(epoch_batches(ROWS, RARE, phase, seed=0, epoch=epoch)).tolist())
        for epoch in (0, 1)
    ]
    assert [len(rows) for rows in left_out] == [43, 43]  # 63 positives drawn for 20
    assert left_out[0] != left_out[1]


def test_balanced_batches_are_half_positive():
    phase = made_phase(batch_size=64, sampling="balanced")
    batches = epoch_batches(ROWS, RARE, phase, seed=0, epoch=0)
    assert {(batch.images, int(RARE[batch.rows - 5000].sum())) for batch in batches} <= {(64, 32), (62, 31)}
    assert sum(batch.images for batch in batches) == 1960  # 980 negatives once, 980 positives
    _, counts = np.unique(rows_of(batches), return_counts=True)
    assert sorted(set(counts.tolist())) == [1, 49]
    assert positives_drawn(RARE, phase) == (980, 1960)


@pytest.mark.parametrize("sampling", ["shuffle", "positive_in_batch", "balanced"])
@pytest.mark.parametrize("world_size", [2, 3])
def test_processes_share_every_step_without_doubling_or_losing_an_image(sampling, world_size):
    phase = made_phase(batch_size=20, sampling=sampling)
    alone = epoch_batches(ROWS, RARE, phase, seed=3, epoch=2)
    shares = [
        epoch_batches(ROWS, RARE, phase, seed=3, epoch=2, world_size=world_size, rank=rank)
        for rank in range(world_size)
    ]
    for step, whole in enumerate(alone):
        parts = [share[step] for share in shares]
        pairs = [pair for part in parts for pair in zip(part.rows.tolist(), part.copies.tolist(), strict=True)]
        assert sorted(pairs) == sorted(zip(whole.rows.tolist(), whole.copies.tolist(), strict=True))
        assert {part.images for part in parts} == {whole.images}
        assert max(len(part.rows) for part in parts) - min(len(part.rows) for part in parts) <= 1


def test_too_few_images_for_the_processes_are_told():
    with pytest.raises(InputError, match="phase p: batch_size: 1000 images make steps of 2 for 4 processes"):
        epoch_batches(ROWS, RARE, made_phase(batch_size=2), seed=0, epoch=0, world_size=4)


@pytest.mark.parametrize("sampling", ["positive_in_batch", "balanced"])
def test_a_missing_class_is_told(sampling):
    with pytest.raises(InputError, match="needs both classes; got 0 positive and 5 negative"):
        epoch_batches(np.arange(5), np.zeros(5, bool), made_phase(sampling=sampling), seed=0, epoch=0)
