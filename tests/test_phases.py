"""What a phase is: strict, and free of contradictions."""

import pytest
from pydantic import ValidationError

from mammo_core.phases import Phase, Subset


def made_phase(**changes: object) -> Phase:
    return Phase.model_validate({"name": "p", "epochs": 2, "learning_rate": 0.1, **changes})


def test_a_phase_needs_no_more_than_its_length_and_rate():
    phase = made_phase()
    assert (phase.trained, phase.subset.kind, phase.pos_weight, phase.ema, phase.patience) == ("all", "all", 1.0, 0, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trained": 0}, "trained"),
        ({"trained": "some"}, "trained"),
        ({"epochs": 0}, "epochs"),
        ({"learning_rate": -1e-3}, "learning_rate"),
        ({"layer_decay": 1.5}, "layer_decay"),
        ({"pos_weight": 0}, "pos_weight"),
        ({"pos_weight": "balanced"}, "pos_weight"),
        ({"crop": 16}, "crop is 16, expected 0 or at least 32 pixels"),
        ({"accumulate": 33}, "accumulate is 33, more than batch_size 32"),
        ({"schedule": "one_cycle"}, "warmup is 0"),
        ({"name": "two words"}, "name"),
        ({"epoch": 3}, "Extra inputs"),
        ({"augmentation": {"flip_vertical": 2}}, "flip_vertical"),
        ({"augmentation": {"contrast": 0.5}}, "contrast"),
    ],
)
def test_what_makes_no_sense_is_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        made_phase(**changes)


def test_a_subset_has_a_size_where_it_needs_one_and_nowhere_else():
    assert Subset(kind="balanced_images", images=421).images == 421
    assert Subset(kind="natural").images is None
    with pytest.raises(ValidationError, match="images is missing"):
        Subset(kind="balanced_images")
    for kind in ("all", "balanced_groups"):
        with pytest.raises(ValidationError, match="images is 10, but the subset"):
            Subset(kind=kind, images=10)
