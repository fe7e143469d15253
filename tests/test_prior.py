"""The log-odds a loss sees: by hand, and as what a model that knows nothing else is trained to."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from mammo_core.errors import InputError
from mammo_core.phases import Phase
from mammo_train.prior import bias_shift, seen_by_loss, smoothed
from mammo_train.sampling import epoch_batches

RARE = np.arange(1000) % 50 == 7  # 20 of 1,000
PHASES = [
    {},
    {"pos_weight": 3.0},
    {"pos_weight": "balance"},
    {"pos_weight": 5.0, "label_smoothing": 0.1},
    {"sampling": "balanced"},
    {"sampling": "positive_in_batch", "batch_size": 16},
    {"sampling": "positive_in_batch", "batch_size": 16, "pos_weight": "balance", "label_smoothing": 0.2},
]


def made_phase(**changes: object) -> Phase:
    return Phase.model_validate({"name": "p", "epochs": 1, "learning_rate": 0.1, **changes})


def test_pos_weight_balances_what_is_drawn():
    assert seen_by_loss(made_phase(pos_weight="balance"), RARE).pos_weight == pytest.approx(980 / 20)
    assert seen_by_loss(made_phase(pos_weight="balance", sampling="balanced"), RARE).pos_weight == 1.0
    # 63 batches of 16 have 63 positives in 1,000 images.
    phase = made_phase(pos_weight="balance", sampling="positive_in_batch", batch_size=16)
    assert seen_by_loss(phase, RARE).pos_weight == pytest.approx(937 / 63)
    assert seen_by_loss(made_phase(pos_weight=7.0), RARE).pos_weight == 7.0


def test_log_odds_by_hand():
    assert seen_by_loss(made_phase(), RARE).log_odds == pytest.approx(math.log(0.02 / 0.98))
    assert seen_by_loss(made_phase(pos_weight="balance"), RARE).log_odds == pytest.approx(0.0, abs=1e-12)
    assert seen_by_loss(made_phase(pos_weight=2.0), RARE).log_odds == pytest.approx(math.log(2 * 0.02 / 0.98))
    # Smoothing by 0.1 makes the mean target 0.02 * 0.95 + 0.98 * 0.05 = 0.068.
    assert seen_by_loss(made_phase(label_smoothing=0.1), RARE).log_odds == pytest.approx(math.log(0.068 / 0.932))


@pytest.mark.parametrize("changes", PHASES)
def test_a_lone_bias_is_at_rest_at_these_log_odds(changes):
    """Over the very images of an epoch, the gradient of the loss at the bias is nothing there, and only there."""
    phase = made_phase(**changes)
    rows = np.concatenate([b.rows for b in epoch_batches(np.arange(1000), RARE, phase, seed=0, epoch=0)])
    seen = seen_by_loss(phase, RARE)
    targets = smoothed(torch.from_numpy(RARE[rows]).double(), phase)

    def gradient(bias: float) -> float:
        at = torch.tensor(bias, dtype=torch.float64, requires_grad=True)
        weight = torch.tensor(seen.pos_weight, dtype=torch.float64)
        functional.binary_cross_entropy_with_logits(at.expand(len(rows)), targets, pos_weight=weight).backward()
        return at.grad.item()

    assert gradient(seen.log_odds) == pytest.approx(0.0, abs=1e-12)
    assert gradient(seen.log_odds + 0.1) > 1e-3


@pytest.mark.parametrize("before", PHASES)
@pytest.mark.parametrize("after", PHASES)
def test_the_shift_leads_from_one_phases_log_odds_to_the_nexts(before, after):
    first = seen_by_loss(made_phase(**before), np.arange(100) % 2 == 0)  # a balanced warm-up
    second = seen_by_loss(made_phase(**after), RARE)
    assert first.log_odds + bias_shift(first, second) == pytest.approx(second.log_odds, abs=1e-12)


def test_from_a_balanced_warm_up_to_two_percent_by_hand():
    warm = seen_by_loss(made_phase(), np.arange(100) % 2 == 0)
    plain, weighted = seen_by_loss(made_phase(), RARE), seen_by_loss(made_phase(pos_weight="balance"), RARE)
    assert bias_shift(warm, plain) == pytest.approx(math.log(0.02 / 0.98))  # -3.89
    assert bias_shift(warm, weighted) == pytest.approx(0.0, abs=1e-12)
    assert bias_shift(plain, weighted) == pytest.approx(math.log(49))


@pytest.mark.parametrize("labels", [np.zeros(4, bool), np.ones(4, bool)])
def test_one_class_alone_is_nothing_to_learn_from(labels):
    with pytest.raises(InputError, match=f"phase p: subset: needs both classes.*{labels.sum()} positive images of 4"):
        seen_by_loss(made_phase(), labels)
