"""How images hang, for every way in which a picture can lie."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from mammo_core.mammogram import Laterality, hang
from mammo_core.orientation import hanging_for

HUNG = {
    # L: chest wall left, so rows run to A; R: chest wall right, rows run to P. Columns run to the medial side or feet.
    ("L", "CC"): (("A", "R"), np.array([[1, 2, 3], [4, 5, 6]])),
    ("R", "CC"): (("P", "L"), np.array([[1, 2, 3], [4, 5, 6]])),
    ("L", "MLO"): (("A", "FR"), np.array([[1, 2, 3], [4, 5, 6]])),
    ("R", "MLO"): (("P", "FL"), np.array([[1, 2, 3], [4, 5, 6]])),
}
OPPOSITE = {"A": "P", "P": "A", "L": "R", "R": "L", "F": "H", "H": "F"}


def opposite(direction: str) -> str:
    return "".join(OPPOSITE[letter] for letter in direction)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("upside_down", [False, True])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("breast", HUNG)
def test_every_orientation_hangs_the_same(
    breast: tuple[Laterality, str], mirrored: bool, upside_down: bool, transposed: bool
) -> None:
    (rows, columns), hung = HUNG[breast]
    stored = hung
    if mirrored:
        stored, rows = stored[:, ::-1], opposite(rows)
    if upside_down:
        stored, columns = stored[::-1], opposite(columns)
    if transposed:
        stored, rows, columns = stored.T, columns, rows
    hanging, warnings = hanging_for(breast[0], (rows, columns), None)
    assert_array_equal(hang(stored, hanging), hung)
    # a CC turned by 180 degrees has the orientation of the other breast's CC: only that is doubted
    doubted = breast[1] == "CC" and mirrored and upside_down
    assert [warning.split("; ")[1] for warning in warnings] == (
        ["a breast labelled as the other side would look the same. Please check the laterality."] if doubted else []
    )
    assert hanging.source == f"Patient Orientation (0020,0020) {rows}\\{columns}"


@pytest.mark.parametrize(
    ("laterality", "side", "flip"),
    [("L", "left", False), ("L", "right", True), ("R", "right", False), ("R", "left", True)],
)
def test_without_orientation_the_tissue_decides(laterality: Laterality, side: str, flip: bool) -> None:
    hanging, warnings = hanging_for(laterality, (), side)  # type: ignore[arg-type]
    assert (hanging.transpose, hanging.flip_horizontal, hanging.flip_vertical) == (False, flip, False)
    assert hanging.source.startswith("side of the tissue")
    assert warnings == ()


def test_an_orientation_that_the_tissue_belies_is_said() -> None:
    hanging, warnings = hanging_for("L", ("A", "R"), "right")
    assert hanging.flip_horizontal
    assert hanging.source.startswith("side of the tissue")
    assert "says A\\R, but the chest wall is on the right" in warnings[0]
    assert hanging_for("L", ("P", "R"), "right")[1] == ()


@pytest.mark.parametrize("orientation", [("L", "F"), ("A",), ("", "F"), ("A", "P"), ("X", "Y")])
def test_a_useless_orientation_is_said(orientation: tuple[str, ...]) -> None:
    hanging, warnings = hanging_for("R", orientation, "left")
    assert hanging.flip_horizontal
    assert "which gives no hanging. It hangs by the side of the tissue." in warnings[0]


def test_nothing_is_turned_where_nothing_is_known() -> None:
    hanging, warnings = hanging_for(None, ("P", "L"), "left")
    assert (hanging.transpose, hanging.flip_horizontal, hanging.flip_vertical) == (False, False, False)
    assert warnings == ()
    hanging, warnings = hanging_for("L", (), None)
    assert not hanging.flip_horizontal
    assert warnings == ("The side of the chest wall is not clear: the image hangs as it is stored.",)
