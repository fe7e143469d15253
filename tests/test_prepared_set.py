"""Prepared sets on disk: masks take the way of their pictures, and a set that is not whole is not opened."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from made import made_header
from mammo_core.errors import InputError
from mammo_core.inputs import InputSettings, Placement, model_input
from mammo_core.mammogram import Hanging, Mammogram, Window
from mammo_train.prepared_picture import picture_png, placed_mask, quantised
from mammo_train.prepared_set import Record, claim, open_prepared, size_of, write_record
from mammo_train.table import normal_row, table_csv

PLAIN = InputSettings(height=64, width=64)


def placement(**changes: object) -> Placement:
    fields: dict[str, object] = {
        "crop": (0, 0, 4, 4),
        "transpose": False,
        "flip_horizontal": False,
        "flip_vertical": False,
        "size": (2, 2),
        "offset": (1, 0),
        "input_size": (4, 3),
    }
    return Placement(**(fields | changes))  # type: ignore[arg-type]


def test_a_mask_is_cropped_turned_scaled_and_padded() -> None:
    mask = np.array([[7, 7, 0, 0], [7, 7, 0, 0], [0, 0, 0, 9], [0, 0, 0, 9]], np.uint8)
    assert placed_mask(mask, placement(), (4, 4)).tolist() == [[0, 0, 0], [7, 0, 0], [0, 9, 0], [0, 0, 0]]
    flipped = placed_mask(mask, placement(flip_horizontal=True), (4, 4))
    assert flipped.tolist() == [[0, 0, 0], [0, 7, 0], [9, 0, 0], [0, 0, 0]]
    upside = placed_mask(mask, placement(flip_vertical=True), (4, 4))
    assert upside.tolist() == [[0, 0, 0], [0, 9, 0], [7, 0, 0], [0, 0, 0]]
    wide = np.array([[0, 0, 5, 5], [0, 0, 5, 5]], np.uint8)
    turned = placed_mask(wide, placement(crop=(0, 0, 2, 4), transpose=True, size=(2, 1)), (2, 4))
    assert turned.tolist() == [[0, 0, 0], [0, 0, 0], [5, 0, 0], [0, 0, 0]]


def test_a_mask_of_another_size_and_a_tiny_lesion() -> None:
    half = np.array([[1, 0], [0, 0]], np.uint8)  # half the file's size
    assert placed_mask(half, placement(), (4, 4)).tolist() == [[0, 0, 0], [1, 0, 0], [0, 0, 0], [0, 0, 0]]
    dot = np.zeros((4, 4), np.uint8)
    dot[3, 2] = 255
    assert placed_mask(dot, placement(), (4, 4)).tolist() == [[0, 0, 0], [0, 0, 0], [0, 255, 0], [0, 0, 0]]
    assert not placed_mask(dot, placement(crop=(0, 0, 2, 2)), (4, 4)).any()


def test_a_mask_lies_where_its_picture_does() -> None:
    rng = np.random.default_rng(0)
    mask = np.zeros((200, 120), np.uint8)
    mask[60:110, 30:80] = 1
    for transpose, horizontal, vertical in rng.integers(0, 2, (6, 3)).astype(bool).tolist():
        header = made_header(
            200,
            120,
            breast_box=(10, 5, 190, 100),
            hanging=Hanging(transpose, horizontal, vertical, "test"),
            vois=(Window(0.5, 1.0, "LINEAR_EXACT", ""),),
        )
        shown, where = model_input(Mammogram(header, mask.astype(np.uint16)), PLAIN)
        placed = placed_mask(mask, where, (200, 120)) > 0
        assert placed.any()
        assert (placed == (shown[0] >= 0.5)).mean() > 0.99


def test_levels_are_rounded_to_the_nearest() -> None:
    shown = np.array([[0.0, 0.499 / 255, 0.501 / 255, 1.0]], np.float32)
    assert quantised(shown, 8).tolist() == [[0, 0, 1, 255]]
    assert quantised(shown, 16).tolist() == [[0, 128, 129, 65535]]


def test_pictures_are_packed_without_loss() -> None:
    rng = np.random.default_rng(0)
    for dtype in (np.uint8, np.uint16):
        picture = rng.integers(0, np.iinfo(dtype).max, (70, 50)).astype(dtype)
        again = cv2.imdecode(np.frombuffer(picture_png(picture), np.uint8), cv2.IMREAD_UNCHANGED)
        assert again is not None
        assert again.dtype == dtype
        assert np.array_equal(again, picture)


def made_set(folder: Path, **changes: object) -> Path:
    """Write a set of two images, the second with a mask."""
    rows = []
    for number in range(2):
        row = {
            "image_id": f"i{number}",
            "patient_id": "p",
            "laterality": "L",
            "view": "CC",
            "cancer": str(number),
            "file": f"images/i{number}.png",
            "mask": "masks/i1.png" if number else "",
            "source": "folder",
        }
        rows.append(normal_row(row))
    fields: dict[str, object] = {"source": "folder", "inputs": PLAIN, "counts": {"images": 2}}
    write_record(folder, Record.model_validate(fields | changes))
    (folder / "table.csv").write_bytes(table_csv(rows))
    for name in ("images/i0.png", "images/i1.png", "masks/i1.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        picture = np.full((64, 64), 3, np.uint8)
        (folder / name).write_bytes(picture_png(picture))
    return folder


def test_a_whole_set_opens(tmp_path: Path) -> None:
    found = open_prepared(made_set(tmp_path))
    assert (found.inputs, found.bits, len(found.table)) == (PLAIN, 8, 2)
    assert len(found.sha256) == 64
    assert found.image(0).dtype == np.uint8
    assert found.image(1).shape == (64, 64)
    assert found.mask(0) is None
    mask = found.mask(1)
    assert mask is not None
    assert mask.dtype == np.bool_
    assert mask.all()


def test_a_set_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no prepared set"):
        open_prepared(tmp_path)
    with pytest.raises(InputError, match="is not finished"):
        open_prepared(made_set(tmp_path, counts=None))
    made_set(tmp_path)
    (tmp_path / "masks" / "i1.png").unlink()
    with pytest.raises(InputError, match=r"line 3 names the mask 'masks/i1\.png', which is not in the folder"):
        open_prepared(tmp_path)
    made_set(tmp_path)
    found = open_prepared(tmp_path)
    (tmp_path / "images" / "i0.png").write_bytes(picture_png(np.zeros((64, 32), np.uint8)))
    with pytest.raises(InputError, match=r"is \(64, 32\) of uint8, expected \(64, 64\) of uint8"):
        found.image(0)
    (tmp_path / "images" / "i0.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"i0\.png"):
        found.image(0)
    (tmp_path / "prepared.json").write_text('{"schema": 1}', encoding="utf-8")
    with pytest.raises(InputError, match="is not the record of a prepared set"):
        open_prepared(tmp_path)


def test_a_folder_is_claimed_for_one_set(tmp_path: Path) -> None:
    record = Record(source="rsna", inputs=PLAIN, made_from={"seed": 1})
    claim(tmp_path / "new", record)
    claim(tmp_path / "new", record)
    other = Record(source="rsna", inputs=InputSettings(height=64, width=96), made_from={"seed": 1})
    with pytest.raises(InputError, match=r"was made with inputs .*'width': 64.*, not .*'width': 96"):
        claim(tmp_path / "new", other)
    with pytest.raises(InputError, match="was made with source rsna, not cbis"):
        claim(tmp_path / "new", record.model_copy(update={"source": "cbis"}))
    with pytest.raises(InputError, match="was made with bits 8, not 16"):
        claim(tmp_path / "new", record.model_copy(update={"bits": 16}))
    (tmp_path / "mine.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(InputError, match="holds something else"):
        claim(tmp_path, record)
    with pytest.raises(InputError, match="is a file"):
        claim(tmp_path / "mine.txt", record)


def test_sizes_are_rows_by_columns() -> None:
    settings = size_of(" 1024x512")
    assert (settings.height, settings.width) == (1024, 512)
    with pytest.raises(InputError, match="expected rows x columns such as 1024x512"):
        size_of("512")
    with pytest.raises(InputError, match="size: is 100x64: height input should be a multiple of 32"):
        size_of("100x64")
