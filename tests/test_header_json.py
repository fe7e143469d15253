"""Headers travel as JSON without losing anything."""

import pytest

from mammo_core.errors import InputError
from mammo_core.header_json import header_from_json, header_to_json
from mammo_core.mammogram import Hanging, Spacing, VoiLut, Window
from tiny_dicom import header


def test_there_and_back() -> None:
    full = header(
        file='quote " and ü\n',
        padding=(3, 5),
        vois=(Window(0.1, 1 / 3, "SIGMOID", "a"), VoiLut(-5, (0, 1, 2), 12, "b")),
        spacing=Spacing(0.07, 0.08, "s"),
        hanging=Hanging(True, False, True, "h"),
        view_modifiers=("Magnification",),
        warnings=("w",),
        patient_orientation=("A", "R"),
        tissue_side="left",
    )
    assert header_from_json(header_to_json(full)) == full
    assert header_from_json(header_to_json(header())) == header()


@pytest.mark.parametrize("written", ["", "[]", "{}", '{"vois": 3}'])
def test_anything_else_is_an_input_error(written: str) -> None:
    with pytest.raises(InputError, match="not a mammogram's header as JSON"):
        header_from_json(written)
