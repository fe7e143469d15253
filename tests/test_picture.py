"""PNG pictures as mammograms, and lesion masks from pictures and from INbreast's outlines."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from mammo_core.errors import InputError
from mammo_core.inputs import InputSettings, model_input
from mammo_core.mammogram import Mammogram, display_pixels
from mammo_train.picture import read_mask, read_picture
from tiny_dicom import breast


def png(path: Path, pixels: np.ndarray) -> Path:
    assert cv2.imwrite(str(path), pixels)
    return path


def read(path: Path, **changes: str) -> Mammogram:
    fields: dict[str, str] = {"name": "x.png", "laterality": "L", "view": "CC", "said_by": "table", **changes}
    return read_picture(path, **fields)  # type: ignore[arg-type]


def test_eight_bits_show_as_they_are(tmp_path: Path) -> None:
    pixels = breast(96, 64, high=200).astype(np.uint8)
    found = read(png(tmp_path / "a.png", pixels))
    assert np.allclose(display_pixels(found), pixels / 255.0, atol=1e-6)
    assert (found.header.laterality, found.header.view, found.header.tissue_side) == ("L", "CC", "left")
    y0, x0, y1, x1 = found.header.breast_box
    assert x0 == 0
    assert 38 <= x1 <= 48  # the disc ends at column 45
    assert (5 <= y0 <= 11, 85 <= y1 <= 91) == (True, True)


def test_sixteen_bits_show_from_their_smallest_to_their_largest(tmp_path: Path) -> None:
    pixels = breast(96, 64, high=3000).astype(np.uint16) + 100
    shown = display_pixels(read(png(tmp_path / "a.png", pixels)))
    assert np.allclose(shown, (pixels - 100.0) / (pixels.max() - 100.0), atol=1e-6)


def test_either_side_comes_to_lie_with_its_chest_wall_left(tmp_path: Path) -> None:
    settings = InputSettings(height=96, width=64)
    left = breast(96, 64, high=200).astype(np.uint8)
    stored = {("L", "left"): left, ("R", "right"): left[:, ::-1], ("R", "left"): left, ("L", "right"): left[:, ::-1]}
    shown = []
    for (laterality, _), pixels in stored.items():
        mammogram = read(png(tmp_path / "a.png", pixels), laterality=laterality)
        shown.append(model_input(mammogram, settings)[0][0])
    for other in shown[1:]:
        assert np.abs(other - shown[0]).max() < 0.02


def test_a_known_chest_wall_needs_no_looking(tmp_path: Path) -> None:
    whole = np.full((64, 64), 120, np.uint8)
    whole[:, 20:44] = 200  # tissue at both borders: its side is not clear
    path = png(tmp_path / "a.png", whole)
    settings = InputSettings(height=64, width=64)
    unclear = read(path, laterality="R")
    assert unclear.header.tissue_side is None
    assert model_input(unclear, settings)[1].flip_horizontal
    known = read_picture(path, name="x", laterality="R", view="CC", said_by="t", chest_wall="left")
    assert not model_input(known, settings)[1].flip_horizontal


def test_a_grey_picture_saved_in_colour_is_read(tmp_path: Path) -> None:
    pixels = breast(96, 64, high=200).astype(np.uint8)
    same = read(png(tmp_path / "a.png", np.repeat(pixels[..., None], 3, axis=2)))
    assert np.array_equal(same.pixels, pixels)
    colour = np.repeat(pixels[..., None], 3, axis=2)
    colour[50, 10, 0] += 1
    with pytest.raises(InputError, match="is a picture of mode RGB, expected grey"):
        read(png(tmp_path / "b.png", colour))


def test_bad_pictures_are_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"x\.png: is not a whole PNG picture"):
        read(tmp_path / "text.png")
    whole = png(tmp_path / "a.png", np.random.default_rng(0).integers(0, 255, (96, 64)).astype(np.uint8)).read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="is not a whole PNG picture"):
        read(tmp_path / "cut.png")
    with pytest.raises(InputError, match="is not a whole PNG picture"):
        read(tmp_path / "none.png")
    with pytest.raises(InputError, match="shows no breast"):
        read(png(tmp_path / "black.png", np.zeros((96, 64), np.uint8)))
    with pytest.raises(InputError, match=r"has 10000 x 10000 pixels, expected at most 80 million"):
        read(bomb(tmp_path / "bomb.png"))


def bomb(path: Path) -> Path:
    """Write a PNG whose header promises far more than it holds."""
    head = b"IHDR" + struct.pack(">IIBBBBB", 10000, 10000, 8, 0, 0, 0, 0)
    data = b"IDAT" + zlib.compress(bytes(64))
    chunks = [
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in (head, data)
    ]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    return path


def test_masks_come_from_pictures_and_from_outlines(tmp_path: Path) -> None:
    mask = np.zeros((8, 6), np.uint8)
    mask[2:4, 1:3] = 255
    assert np.array_equal(read_mask(png(tmp_path / "m.png", mask), name="m", shape=(80, 60)), mask)
    outline = """<?xml version="1.0" encoding="UTF-8"?><plist version="1.0"><dict><key>Images</key><array><dict>
    <key>NumberOfROIs</key><integer>2</integer><key>ROIs</key><array>
    <dict><key>Name</key><string>Mass</string><key>Point_px</key><array><string>(1.0, 2.0)</string>
    <string>(3.000000, 2.000000)</string><string>(3, 5)</string><string>(1, 5)</string></array></dict>
    <dict><key>Name</key><string>Calcification</string><key>Point_px</key><array><string>(0, 0)</string></array></dict>
    </array></dict></array></dict></plist>"""
    (tmp_path / "m.xml").write_text(outline, encoding="utf-8")
    found = read_mask(tmp_path / "m.xml", name="m", shape=(8, 6))
    expected = np.zeros((8, 6), np.uint8)
    expected[2:6, 1:4] = 1
    assert np.array_equal(found, expected)
    (tmp_path / "bad.xml").write_text("<plist><dict/></plist>", encoding="utf-8")
    with pytest.raises(InputError, match="is not INbreast's list of regions"):
        read_mask(tmp_path / "bad.xml", name="m", shape=(8, 6))
    with pytest.raises(InputError, match="has 16 bits, expected a mask of 8"):
        read_mask(png(tmp_path / "deep.png", mask.astype(np.uint16)), name="m", shape=(8, 6))
