"""The low band: hand-worked, and beside a JPEG 2000 codec that halves on its own."""

import imagecodecs
import numpy as np
import pytest

from mammo_core.codec import checked_frame, decode
from mammo_core.grayscale import PixelRule
from mammo_core.low_band import halvings_within, low_band

JPEG_2000 = "1.2.840.10008.1.2.4.90"


def test_one_row_by_hand() -> None:
    # details 20 - (10 + 30) // 2 = 0 and 41 - (30 + 7) // 2 = 23, mirrored at both ends
    row = np.array([[10, 20, 30, 41, 7]], np.uint16)
    assert low_band(row, 1).tolist() == [[10 + (0 + 0 + 2) // 4, 30 + (0 + 23 + 2) // 4, 7 + (23 + 23 + 2) // 4]]


def test_an_even_width_mirrors_about_the_last_sample() -> None:
    # details 0 - (0 + 4) // 2 = -2 and 8 - (4 + 4) // 2 = 4; the first sample, -1, is clipped
    assert low_band(np.array([[0, 0, 4, 8]], np.uint16), 1).tolist() == [[0, 4 + (-2 + 4 + 2) // 4]]


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (6, 1), (2, 2), (83, 75), (300, 1201), (1200, 301)])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_it_is_what_a_jpeg_2000_decoder_hands_out(shape: tuple[int, int], bits: int) -> None:
    pixels = np.random.default_rng(bits).integers(0, 1 << bits, shape).astype(np.uint8 if bits == 8 else np.uint16)
    data = imagecodecs.jpeg2k_encode(
        pixels, level=0, reversible=True, codecformat="j2k", bitspersample=bits, resolutions=4
    )
    rule = PixelRule(bits_allocated=8 if bits == 8 else 16, bits_stored=bits, signed=False)
    frame = checked_frame(bytes(data), JPEG_2000, *shape, rule)
    for halvings in range(1, frame.levels + 1):
        wanted = decode(frame, 1 << halvings)
        assert np.array_equal(low_band(pixels.astype(np.uint16), halvings, (1 << bits) - 1), wanted)


def test_no_halving_is_the_image_itself() -> None:
    pixels = np.arange(12, dtype=np.uint16).reshape(3, 4)
    assert low_band(pixels, 0) is pixels


@pytest.mark.parametrize(
    ("longer", "halvings"), [(10, 0), (1023, 0), (1024, 0), (2047, 0), (2048, 1), (4095, 1), (4096, 2), (5355, 2)]
)
def test_twice_the_target_is_left(longer: int, halvings: int) -> None:
    assert halvings_within(longer, 512) == halvings
