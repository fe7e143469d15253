"""Scored units with their truth: what is refused, and what is kept of a part."""

import numpy as np
import pytest

from mammo_core.cases import Cases
from mammo_core.errors import InputError

CASES = Cases(
    scores=np.array([0.1, 0.7, 0.4]),
    labels=np.array([False, True, False]),
    patients=("a", "a", "b"),
    unit="breast",
    source="made by hand",
    groups={"laterality": ("R", "L", "R")},
)


def test_a_part_keeps_every_column_in_step():
    part = CASES.chosen(np.array([False, True, True]))
    assert part.scores.tolist() == [0.7, 0.4]
    assert part.labels.tolist() == [True, False]
    assert part.patients == ("a", "b")
    assert part.groups == {"laterality": ("L", "R")}
    assert (len(part), part.positives, part.prevalence) == (2, 1, 0.5)


def test_columns_of_different_lengths_are_refused_with_their_lengths():
    with pytest.raises(InputError, match="2 scores, 1 labels, 2 patients, 3 density"):
        Cases(np.zeros(2), np.zeros(1, bool), ("a", "b"), "breast", "", {"density": ("A", "B", "C")})


def test_a_score_that_is_no_number_is_refused():
    with pytest.raises(InputError, match="not a finite number"):
        Cases(np.array([np.nan]), np.array([True]), ("a",), "breast", "")
