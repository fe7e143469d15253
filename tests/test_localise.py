"""Where heat lies against where a lesion is, on maps small enough to count by hand."""

import numpy as np
import pytest
import torch

from made import made_checkpoint
from mammo_core.heatmap import heatmap
from mammo_train.localise import breast_of, measured_heat, shuffled, whole

ROWS, COLUMNS = 64, 96
BREAST = np.zeros((ROWS, COLUMNS), bool)
BREAST[:, :48] = True  # half of the picture


def heat_of(grid: list[list[float]]):
    return heatmap(np.array(grid, np.float32), "gradcam", whole(ROWS, COLUMNS))


def box(y0: int, x0: int, y1: int, x1: int) -> np.ndarray:
    mask = np.zeros((ROWS, COLUMNS), bool)
    mask[y0:y1, x0:x1] = True
    return mask


def test_a_hit_is_in_the_mask_or_within_half_a_cell():
    # Cells of 32 x 32; the strongest place is the middle of the first, (16, 16) in pixels.
    heat = heat_of([[1, 0, 0], [0, 0, 0]])
    on = measured_heat(0, heat, BREAST, box(10, 10, 22, 22))
    assert on.pointed
    assert on.peak == 1.0
    near = measured_heat(0, heat, BREAST, box(10, 31, 22, 40))  # 15 pixels to the right, half a cell is 16
    assert near.pointed
    far = measured_heat(0, heat, BREAST, box(10, 34, 22, 44))
    assert far.pointed is False


def test_pointing_at_random_is_the_share_of_the_breast_where_a_hit_counts():
    facts = measured_heat(0, heat_of([[1, 0, 0], [0, 0, 0]]), BREAST, box(0, 0, 64, 16))
    # The mask covers columns 0 to 15; within 16 pixels of it columns 16 to 31: two thirds of the breast.
    assert facts.lesion_share == pytest.approx(16 / 48)
    assert facts.pointed_share == pytest.approx(32 / 48)


def test_even_heat_gives_the_lesion_its_share_of_the_breast():
    facts = measured_heat(3, heat_of([[2, 2, 2], [2, 2, 2]]), BREAST, box(0, 0, 32, 24))
    assert facts.row == 3
    assert facts.lesion_share == pytest.approx(32 * 24 / (64 * 48))
    assert facts.heat_in_lesion == pytest.approx(facts.lesion_share)
    assert facts.spread == pytest.approx(0.5, abs=1e-3)  # half of the breast holds half of the heat


def test_heat_outside_the_breast_does_not_count():
    # All heat is in the right column of cells, beyond the breast: between the middles of the cells it falls off.
    inside = measured_heat(0, heat_of([[0, 0, 1], [0, 0, 1]]), BREAST, box(0, 0, 64, 10))
    assert inside.localised
    assert np.isnan(inside.spread)  # nothing left over the breast
    assert np.isnan(inside.heat_in_lesion)


def test_focal_heat_is_less_spread():
    focal = measured_heat(0, heat_of([[9, 0, 0], [0, 0, 0]]), BREAST, None)
    even = measured_heat(0, heat_of([[1, 1, 1], [1, 1, 1]]), BREAST, None)
    assert focal.spread < even.spread / 2
    assert focal.pointed is None
    assert np.isnan(focal.lesion_share)


def test_nothing_localised_is_a_miss():
    facts = measured_heat(0, heat_of([[0, 0, 0], [0, 0, 0]]), BREAST, box(0, 0, 10, 10))
    assert not facts.localised
    assert facts.pointed is False
    assert facts.peak == 0.0
    assert np.isnan(facts.heat_in_lesion)
    assert facts.lesion_share > 0
    assert measured_heat(0, heat_of([[0, 0, 0]]), BREAST, np.zeros_like(BREAST)).pointed is None


def test_the_breast_of_a_picture():
    y, x = np.indices((128, 96))
    picture = np.where((y - 64) ** 2 + x**2 < 50**2, 90 + x // 2, 0).astype(np.uint8)
    found = breast_of(picture)
    assert (found == (picture > 0)).mean() > 0.97
    assert breast_of(np.zeros((64, 64), np.uint8)).all()
    assert breast_of(picture.astype(np.uint16) * 257).sum() == found.sum()


def test_shuffled_weights_have_the_same_values_in_another_order(tmp_path):
    checkpoint = made_checkpoint(tmp_path / "m.safetensors")
    found = shuffled(checkpoint, 0)
    name = "backbone.conv1.0.weight" if "backbone.conv1.0.weight" in found.weights else "backbone.conv1.weight"
    was, now = checkpoint.weights[name], found.weights[name]
    assert now.shape == was.shape
    assert not torch.equal(now, was)
    torch.testing.assert_close(now.flatten().sort().values, was.flatten().sort().values)
    assert torch.equal(found.weights["head.bias"], checkpoint.weights["head.bias"])
    assert torch.equal(shuffled(checkpoint, 0).weights[name], now)
    assert not torch.equal(shuffled(checkpoint, 1).weights[name], now)
