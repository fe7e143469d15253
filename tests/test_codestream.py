"""Markers of codestreams, read without decoding; damage that they show."""

import io
import struct

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from mammo_core.codestream import jpeg, jpeg2000, rle_segments
from mammo_core.errors import InputError

PIXELS = np.random.default_rng(2).integers(0, 4096, (20, 30)).astype(np.uint16)
LOSSLESS = frozenset({0xC3})
JPEG_LS = frozenset({0xF7})


def lossless() -> bytes:
    return bytes(imagecodecs.jpeg8_encode(PIXELS, lossless=True, bitspersample=12))


def near() -> bytes:
    return bytes(imagecodecs.jpegls_encode(PIXELS))


def wavelet() -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(PIXELS, level=0, codecformat="j2k", bitspersample=12, resolutions=2))


def tiled() -> bytes:
    """2 x 2 tiles of at most 16 x 16."""
    saved = io.BytesIO()
    Image.fromarray(PIXELS).save(saved, "JPEG2000", no_jp2=True, tile_size=(16, 16), num_resolutions=3)
    return saved.getvalue()


def test_what_a_frame_says_of_itself() -> None:
    stream = jpeg(lossless(), LOSSLESS)
    assert (stream.rows, stream.columns, stream.components, stream.bits) == (20, 30, 1, 12)
    stream = jpeg(near(), JPEG_LS)
    assert (stream.rows, stream.columns, stream.components, stream.bits) == (20, 30, 1, 16)
    stream = jpeg2000(wavelet())
    assert (stream.rows, stream.columns, stream.components, stream.bits) == (20, 30, 1, 12)
    assert not stream.signed
    assert stream.levels == 1
    assert jpeg2000(tiled()).levels == 2


def test_padding_after_the_end_is_left_off() -> None:
    assert jpeg(lossless() + b"\0", LOSSLESS).data == lossless()
    assert jpeg2000(wavelet() + b"\0").rows == 20


def test_the_frame_header_must_be_one_the_transfer_syntax_permits() -> None:
    with pytest.raises(InputError, match="frame header FFC3, which the transfer syntax forbids"):
        jpeg(lossless(), JPEG_LS)
    with pytest.raises(InputError, match="frame header FFF7, which the transfer syntax forbids"):
        jpeg(near(), LOSSLESS)


@pytest.mark.parametrize(("make", "allowed"), [(lossless, LOSSLESS), (near, JPEG_LS)], ids=["lossless", "ls"])
def test_a_jpeg_cut_anywhere_is_refused(make: object, allowed: frozenset[int]) -> None:
    whole = make()  # type: ignore[operator]
    for end in range(len(whole) - 1):
        with pytest.raises(InputError):
            jpeg(whole[:end], allowed)


def test_a_jpeg_2000_cut_anywhere_is_refused() -> None:
    for whole in (wavelet(), tiled()):
        for end in range(len(whole) - 1):
            with pytest.raises(InputError):
                jpeg2000(whole[:end])


def test_a_stray_marker_inside_the_scan_is_refused() -> None:
    whole = lossless()
    middle = len(whole) - 100
    with pytest.raises(InputError, match="stray marker FFC4"):
        jpeg(whole[:middle] + b"\xff\xc4" + whole[middle:], LOSSLESS)
    with pytest.raises(InputError, match="go on after their end-of-image marker"):
        jpeg(whole[:middle] + b"\xff\xd9" + whole[middle:], LOSSLESS)


def test_a_missing_tile_is_refused() -> None:
    whole = tiled()
    first = whole.index(b"\xff\x90\x00\x0a")
    (length,) = struct.unpack_from(">I", whole, first + 6)
    assert jpeg2000(whole).rows == 20
    with pytest.raises(InputError, match="hold 3 JPEG 2000 tiles, expected 4"):
        jpeg2000(whole[:first] + whole[first + length :])


def test_a_tile_part_may_leave_its_length_open() -> None:
    whole = bytearray(wavelet())
    at = whole.index(b"\xff\x90\x00\x0a")
    whole[at + 6 : at + 10] = bytes(4)
    assert jpeg2000(bytes(whole)).columns == 30
    with pytest.raises(InputError, match="no JPEG 2000 end marker"):
        jpeg2000(bytes(whole[:-2]))


def test_the_codestream_is_taken_out_of_a_jp2_wrapper() -> None:
    bare = wavelet()
    signature = struct.pack(">I4sI", 12, b"jP  ", 0x0D0A870A)
    kind = struct.pack(">I4s4sI4s", 20, b"ftyp", b"jp2 ", 0, b"jp2 ")
    assert jpeg2000(signature + kind + struct.pack(">I4s", len(bare) + 8, b"jp2c") + bare).data == bare
    assert jpeg2000(signature + kind + struct.pack(">I4s", 0, b"jp2c") + bare).data == bare
    assert jpeg2000(signature + kind + struct.pack(">I4sQ", 1, b"jp2c", len(bare) + 16) + bare).data == bare
    with pytest.raises(InputError, match="wrapper without a codestream"):
        jpeg2000(signature + kind)


def test_high_throughput_and_impossible_sizes_are_refused() -> None:
    whole = bytearray(wavelet())
    with pytest.raises(InputError, match="High-Throughput"):
        jpeg2000(bytes(whole[:6] + b"\x40\x00" + whole[8:]))
    with pytest.raises(InputError, match="impossible"):
        jpeg2000(bytes(whole[:8] + bytes(4) + whole[12:]))
    with pytest.raises(InputError, match="begin with ffd8ffe0"):
        jpeg2000(lossless())


def test_rle_segments() -> None:
    frame = struct.pack("<16I", 2, 64, 66, *[0] * 13) + b"abcd"
    assert rle_segments(frame, 2) == [b"ab", b"cd"]
    with pytest.raises(InputError, match="have 2 RLE segments, expected 1"):
        rle_segments(frame, 1)
    for offsets in ((66, 64), (64, 70), (60, 66)):
        with pytest.raises(InputError, match="expected them in order"):
            rle_segments(struct.pack("<16I", 2, *offsets, *[0] * 13) + b"abcd", 2)
    with pytest.raises(InputError, match="have 10 bytes, expected an RLE header of 64"):
        rle_segments(b"0123456789", 2)
