"""What a picture's mask teaches: where a cancer is, where none is, and where nobody knows."""

from dataclasses import replace

import numpy as np
import pytest

from mammo_train.marks import EMPTY, LESION, UNKNOWN, marks, teaching
from mammo_train.prepared_set import PreparedSet
from tiny_set import tiny_set


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedSet:
    return tiny_set(tmp_path_factory.mktemp("set"), patients=4, masks=True)


def test_a_cancer_is_marked_where_its_mask_is(data: PreparedSet) -> None:
    found, mask = marks(data, 6), data.mask(6)
    assert mask is not None
    np.testing.assert_array_equal(found == LESION, mask)
    assert (found[~mask] == EMPTY).all()


def test_without_cancer_all_is_empty(data: PreparedSet) -> None:
    assert (marks(data, 0) == EMPTY).all()


def test_a_cancer_without_a_mask_may_be_anywhere(data: PreparedSet) -> None:
    assert (marks(data, 2) == UNKNOWN).all()


def test_only_what_is_known_teaches(data: PreparedSet) -> None:
    # Patients 0 and 2 have no cancer; that of patient 1 has no mask, that of patient 3 has.
    assert teaching(data).tolist() == [True, True, False, False, True, True, True, True]


def test_a_benign_lesion_is_not_looked_for_and_a_hidden_cancer_not_asked(data: PreparedSet) -> None:
    table = data.table.copy()
    table["lesion_visible"] = ["", "", "", "", "1", "1", "0", "0;1"]
    table.loc[4, "mask"] = table.loc[6, "mask"]
    told = replace(data, table=table)
    assert teaching(told).tolist() == [True, True, False, False, True, True, False, True]
    assert (marks(told, 4) == EMPTY).all()
    mask = data.mask(6)
    assert mask is not None
    np.testing.assert_array_equal(marks(told, 6) == UNKNOWN, mask)
