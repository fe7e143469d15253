"""Bit-exact decoding of every transfer syntax, and truncated or lying frames refused."""

from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

import tiny_dicom
from mammo_core.codec import checked_frame, decode, decode_with_gdcm
from mammo_core.errors import InputError
from mammo_core.grayscale import PixelRule
from tiny_dicom import COMPRESSED, EXPLICIT, IMPLICIT, JPEG_2000, JPEG_LOSSLESS_SV1, JPEG_LS, RLE, encoded

GENERATOR = np.random.default_rng(1)


def picture(bits: int, signed: bool) -> NDArray[np.int64]:
    """Noise over the whole range that the bits allow, its two ends included; odd sizes."""
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    values = GENERATOR.integers(low, high + 1, (33, 45))
    values[0, :2] = low, high
    return values


def rule(bits: int, signed: bool) -> PixelRule:
    return PixelRule(8 if bits == 8 else 16, bits, signed)


@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, *COMPRESSED])
def test_every_transfer_syntax_is_decoded_to_the_bit(syntax: str, bits: int, signed: bool) -> None:
    pixels = picture(bits, signed)
    data = encoded(pixels, syntax, bits=bits, signed=signed)
    frame = checked_frame(data, syntax, 33, 45, rule(bits, signed))
    unsigned = decode(frame)
    assert unsigned.dtype == np.uint16
    assert_array_equal(unsigned.astype(np.int64) + rule(bits, signed).offset, pixels)


@pytest.mark.parametrize("syntax", [JPEG_LOSSLESS_SV1, JPEG_LS, JPEG_2000])
def test_gdcm_gives_the_same_pixels(syntax: str) -> None:
    pixels = picture(12, False)
    frame = checked_frame(encoded(pixels, syntax, bits=12), syntax, 33, 45, rule(12, False))
    assert frame.stream is not None
    assert_array_equal(decode_with_gdcm(frame, frame.stream, RuntimeError()), pixels)


def test_lossy_jpeg_is_close() -> None:
    smooth = (np.add.outer(np.arange(64), np.arange(64)) * 1.5).astype(np.int64)
    for syntax, bits in ((tiny_dicom.JPEG_BASELINE, 8), (tiny_dicom.JPEG_EXTENDED, 12)):
        scale = 1 << (bits - 8)
        frame = checked_frame(encoded(smooth * scale, syntax, bits=bits), syntax, 64, 64, rule(bits, False))
        assert np.abs(decode(frame).astype(int) - smooth * scale).max() <= 4 * scale


def test_bits_above_bits_stored_are_masked_in_plain_pixels() -> None:
    # an old overlay in bit 12 of 12-bit pixels (PS3.5 8.1.2); signed ones keep their sign
    data = np.array([[0x1FFF, 0x1001, 0x0800]], dtype="<u2").tobytes()
    assert_array_equal(decode(checked_frame(data, EXPLICIT, 1, 3, rule(12, False))), [[0xFFF, 1, 0x800]])
    stored = decode(checked_frame(data, EXPLICIT, 1, 3, rule(12, True))).astype(int) - 32768
    assert_array_equal(stored, [[-1, 1, -2048]])


def test_compressed_values_above_bits_stored_are_refused() -> None:
    data = bytes(imagecodecs.jpegls_encode(np.full((8, 8), 5000, dtype=np.uint16)))
    with pytest.raises(InputError, match="hold values from 5000 to 5000, but the header says 12 bits"):
        decode(checked_frame(data, JPEG_LS, 8, 8, rule(12, False)))


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("syntax", [EXPLICIT, *COMPRESSED, tiny_dicom.JPEG_BASELINE])
def test_a_truncated_frame_is_refused(syntax: str, fraction: float) -> None:
    bits = 8 if syntax == tiny_dicom.JPEG_BASELINE else 12
    data = encoded(picture(bits, False), syntax, bits=bits)
    with pytest.raises(InputError):
        decode(checked_frame(data[: int(len(data) * fraction)], syntax, 33, 45, rule(bits, False)))


@pytest.mark.parametrize("syntax", [JPEG_LOSSLESS_SV1, JPEG_LS, JPEG_2000])
def test_a_frame_of_another_size_or_depth_is_refused(syntax: str) -> None:
    data = encoded(picture(12, False), syntax, bits=12)
    with pytest.raises(InputError, match="hold 33 x 45 pixels, but the header says 45 x 33"):
        checked_frame(data, syntax, 45, 33, rule(12, False))
    deep = encoded(picture(16, False), syntax, bits=16)
    with pytest.raises(InputError, match="have 16 bits per pixel, but the header says 8 of 8"):
        checked_frame(deep, syntax, 33, 45, rule(8, False))


def test_a_color_frame_is_refused() -> None:
    color = GENERATOR.integers(0, 256, (33, 45, 3)).astype(np.uint8)
    encoders: dict[str, Callable[[], Any]] = {
        JPEG_2000: lambda: imagecodecs.jpeg2k_encode(color, level=0, codecformat="j2k"),
        JPEG_LS: lambda: imagecodecs.jpegls_encode(color),
    }
    for syntax, encode in encoders.items():
        with pytest.raises(InputError, match="3 components"):
            checked_frame(bytes(encode()), syntax, 33, 45, rule(8, False))


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_reduced_jpeg_2000_has_the_size_phase_and_scale_of_the_low_band(bits: int) -> None:
    # sizes at which rounding to nearest and rounding up differ; a ramp has itself as low band
    rows, columns = 83, 75
    step = (1 << bits) // 256
    ramp = np.add.outer(np.arange(rows), np.arange(columns)).astype(np.int64) * step
    frame = checked_frame(encoded(ramp, JPEG_2000, bits=bits), JPEG_2000, rows, columns, rule(bits, False))
    assert frame.levels == 3  # all that the encoder makes of this size
    for reduction in (2, 4, 8):
        reduced = decode(frame, reduction)
        assert reduced.dtype == np.uint16
        assert reduced.shape == (-(-rows // reduction), -(-columns // reduction))
        inner = (slice(1, -2), slice(1, -2))
        expected = ramp[::reduction, ::reduction]
        assert np.abs(reduced.astype(int) - expected)[inner].max(initial=0) <= 2 + step


def test_reduced_decoding_is_offered_for_unsigned_jpeg_2000_only() -> None:
    for syntax, signed in ((JPEG_LS, False), (RLE, False), (EXPLICIT, False), (JPEG_2000, True)):
        data = encoded(picture(12, signed), syntax, bits=12, signed=signed)
        frame = checked_frame(data, syntax, 33, 45, rule(12, signed))
        assert frame.levels == 0
        with pytest.raises(ValueError, match="not offered"):
            decode(frame, 2)


def test_plain_pixels_must_fill_the_picture_exactly() -> None:
    data = bytes(33 * 45)
    assert decode(checked_frame(data + b"\0", EXPLICIT, 33, 45, rule(8, False))).shape == (33, 45)
    for wrong in (data[:-1], data + b"\0\0"):
        with pytest.raises(InputError, match=r"expected 1,485 for 33 x 45 pixels of 8 bits"):
            checked_frame(wrong, EXPLICIT, 33, 45, rule(8, False))
