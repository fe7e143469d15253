"""Headers travel as JSON without losing anything."""

import numpy as np
import pytest

from mammo_core.errors import InputError
from mammo_core.header_json import header_from_json, header_to_json
from mammo_core.mammogram import Hanging, Spacing, VoiLut, Window
from tiny_dicom import header


def test_there_and_back() -> None:
    full = header(
        file='quote " and ü\n',
        padding=(3, 5),
        vois=(Window(0.1, 1 / 3, "SIGMOID", "a"), VoiLut.of(-5, (0, 1, 2), 12, "b")),
        spacing=Spacing(0.07, 0.08, "s"),
        hanging=Hanging(True, False, True, "h"),
        view_modifiers=("Magnification",),
        warnings=("w",),
        patient_orientation=("A", "R"),
        tissue_side="left",
    )
    assert header_from_json(header_to_json(full)) == full
    assert header_from_json(header_to_json(header())) == header()


def test_tables_travel_packed() -> None:
    """As numbers, the tables of one image are megabytes that every look at its study parses again."""
    table = VoiLut.of(0, np.arange(65536), 16, "")
    written = header_to_json(header(vois=(table,) * 8))
    assert len(written) < 8 * 2 * 65536 * 1.4
    assert header_from_json(written).vois[7] == table


@pytest.mark.parametrize("written", ["", "[]", "{}", '{"vois": 3}'])
def test_anything_else_is_an_input_error(written: str) -> None:
    with pytest.raises(InputError, match="not a mammogram's header as JSON"):
        header_from_json(written)
