"""The loss that asks the feature map's cells for lesions, on maps small enough to work out by hand."""

import math

import pytest
import torch

from mammo_core.model import Architecture, build_model
from mammo_train.lesion_loss import CellClassifier, lesion_loss
from mammo_train.marks import LESION, UNKNOWN

NOWHERE = (0.0, 0.0)


def marks(*places: tuple[int, int], value: int = LESION) -> torch.Tensor:
    found = torch.zeros(1, 64, 64, dtype=torch.uint8)
    for row, column in places:
        found[0, row, column] = value
    return found


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def test_the_two_kinds_of_cells_are_averaged_apart():
    log_odds = torch.tensor([[[2.0, -1.0], [0.5, -3.0]]])
    found = lesion_loss(log_odds, marks((10, 10)), NOWHERE)
    # The lesion lies in the first cell: -log sigmoid(2); the others are empty.
    wanted = 0.2 * softplus(-2) + 0.8 * (softplus(-1) + softplus(0.5) + softplus(-3)) / 3
    assert float(found) == pytest.approx(wanted, rel=1e-6)


def test_it_is_a_sum_over_pictures():
    log_odds = torch.tensor([[[2.0, -1.0], [0.5, -3.0]]])
    one = lesion_loss(log_odds, marks((10, 10)), NOWHERE)
    two = lesion_loss(log_odds.repeat(2, 1, 1), marks((10, 10)).repeat(2, 1, 1), NOWHERE)
    assert float(two) == pytest.approx(2 * float(one), rel=1e-6)


def test_cells_of_which_nothing_is_known_are_not_asked():
    log_odds = torch.tensor([[[2.0, -1.0], [0.5, -3.0]]])
    hidden = lesion_loss(log_odds, marks((10, 10), value=UNKNOWN), NOWHERE)
    assert float(hidden) == pytest.approx(0.8 * (softplus(-1) + softplus(0.5) + softplus(-3)) / 3, rel=1e-6)
    unknown = torch.full((1, 64, 64), UNKNOWN, dtype=torch.uint8)
    assert float(lesion_loss(log_odds, unknown, NOWHERE)) == 0


def test_a_cell_that_looks_up_and_left_is_asked_for_what_lies_there():
    log_odds = torch.tensor([[[4.0, 0.0], [0.0, 0.0]]])
    # In the first block, but seen by the last cell, which looks 15.5 px up and left of its block.
    seen_by_last = lesion_loss(log_odds, marks((20, 20)), (-15.5, -15.5))
    assert float(seen_by_last) == pytest.approx(0.2 * softplus(0) + 0.8 * (softplus(4) + 2 * softplus(0)) / 3, rel=1e-6)


def test_cells_say_what_they_add_to_the_logit():
    model = build_model(Architecture(backbone="resnet10t", in_channels=1))
    features = torch.rand(2, model.head.in_features, 3, 2)
    cells = CellClassifier()
    found = cells(model.head.weight[0], features)
    with torch.no_grad():
        added = (found - cells.offset) / cells.gain
    torch.testing.assert_close(added.sum((1, 2)) + model.head.bias, model.logits(features), rtol=1e-5, atol=1e-6)
