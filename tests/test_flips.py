"""Cases that change side, and how many cases it takes to know."""

import numpy as np
import pytest

from mammo_core.cases import Cases
from mammo_core.errors import InputError
from mammo_core.flips import flips
from mammo_core.sample_size import sample_words, units_needed, words_for

CASES = Cases(
    np.array([0.1, 0.35, 0.4, 0.5, 0.9]),
    np.array([False, False, True, False, True]),
    tuple("abcde"),
    "breast",
    "made",
    {"laterality": ("R", "L", "R", "L", "R")},
)


def test_those_between_the_thresholds_flip_positives_first() -> None:
    found = flips(CASES, saved=0.5, moved=0.35)
    assert [(f.patient, f.laterality, f.label, f.score, f.flagged) for f in found] == [
        ("c", "R", True, 0.4, True),
        ("b", "L", False, 0.35, True),
    ]
    back = flips(CASES, saved=0.35, moved=0.5)
    assert [(f.patient, f.flagged) for f in back] == [("c", False), ("b", False)]


def test_an_unmoved_threshold_flips_nothing() -> None:
    assert flips(CASES, 0.5, 0.5) == ()


def test_units_needed_by_hand() -> None:
    assert units_needed(0.85, 0.05) == 196  # 1.96^2 * 0.85 * 0.15 / 0.05^2 = 195.9
    assert units_needed(0.5, 0.1) == 97
    with pytest.raises(InputError, match="half width: 0 is not between 0 and 1"):
        units_needed(0.5, 0)


def test_what_is_missing_is_said() -> None:
    words = words_for(CASES)
    assert words.startswith("There are 2 positive and 3 negative breasts")
    assert "194 more positive and 193 more negative would be needed." in words
    assert sample_words(200, 300, "breast").endswith("that is reached.")
