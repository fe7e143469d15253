"""What a compressed frame says of itself, read from its markers undecoded, and whether it is all there.

A decoder happily returns half an image from half a JPEG; the markers tell. A flipped bit inside the
entropy-coded data cannot be seen here. Sources: ITU-T T.81 (JPEG), T.87 (JPEG-LS), T.800 (JPEG 2000), DICOM
PS3.5 Annexes A.4 and G (RLE).
"""

import struct
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mammo_core.errors import InputError

SUBJECT = "compressed pixels"


@dataclass(frozen=True)
class Codestream:
    """A complete codestream and what its header declares."""

    data: bytes
    """The bare codestream: a JP2 wrapper around it is left off."""
    rows: int
    columns: int
    components: int
    bits: int
    signed: bool
    levels: int
    """Number of times that the decoder can halve the size (JPEG 2000 decomposition levels), else 0."""


def jpeg(frame: bytes, allowed: frozenset[int]) -> Codestream:
    """A JPEG or JPEG-LS frame; ``allowed`` are the frame headers that the transfer syntax permits.

    Checked are (T.81 Annex B) SOI, one frame header, one scan, no marker inside the scan but restarts, EOI,
    and nothing after it.
    """
    if frame[:2] != b"\xff\xd8":
        raise InputError(SUBJECT, f"begin with {frame[:2].hex() or 'nothing'}, expected a JPEG start of image (FFD8)")
    position, found = 2, None
    while True:
        marker, position = _next_marker(frame, position)
        length = _u16(frame, position)
        if length < 2 or position + length > len(frame):
            raise InputError(SUBJECT, f"end inside the JPEG segment FF{marker:02X}: the file is truncated or damaged")
        if marker in _FRAME_MARKERS:
            if marker not in allowed or found is not None:
                raise InputError(
                    SUBJECT, f"have the JPEG frame header FF{marker:02X}, which the transfer syntax forbids"
                )
            found = _frame_header(frame, position, length)
        position += length
        if marker == 0xDA:
            break
    if found is None:
        raise InputError(SUBJECT, "have no JPEG frame header before their scan")
    end = _scan_end(frame, position, stuffing_bit=0xF7 in allowed)
    rows, columns, components, bits = found
    return Codestream(frame[:end], rows, columns, components, bits, False, 0)


_FRAME_MARKERS = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
"""Start-of-frame markers: C4, C8 and CC are tables and extensions; F7 is JPEG-LS."""


def _next_marker(frame: bytes, position: int) -> tuple[int, int]:
    """The marker at ``position`` (fill bytes FF skipped) and the position after it."""
    if frame[position : position + 1] != b"\xff":
        raise InputError(SUBJECT, f"have no JPEG marker at byte {position}: the file is truncated or damaged")
    while frame[position : position + 1] == b"\xff":
        position += 1
    if position >= len(frame) or frame[position] in (0x00, 0x01, *range(0xD0, 0xDA)):
        raise InputError(SUBJECT, f"have no scan, or a stray JPEG marker at byte {position}")
    return frame[position], position + 1


def _frame_header(frame: bytes, position: int, length: int) -> tuple[int, int, int, int]:
    """(rows, columns, components, bits) of a frame header (T.81 B.2.2)."""
    if length < 8:
        raise InputError(SUBJECT, f"have a JPEG frame header of {length} bytes, expected at least 8")
    bits, rows, columns, components = struct.unpack_from(">BHHB", frame, position + 2)
    return rows, columns, components, bits


def _scan_end(frame: bytes, start: int, *, stuffing_bit: bool) -> int:
    """Position after EOI; `InputError` where the scan is cut off or holds a stray marker.

    In a JPEG scan FF is followed by 00 unless it begins a marker; in a JPEG-LS scan (``stuffing_bit``) by any
    byte below 80, for one bit is stuffed (T.87 A.1).
    """
    data = np.frombuffer(frame, dtype=np.uint8, offset=start)
    at = np.flatnonzero(data[:-1] == 0xFF)
    following = data[at + 1]
    is_marker = following >= 0x80 if stuffing_bit else following != 0x00
    is_marker &= following != 0xFF  # fill
    is_marker &= ~((following >= 0xD0) & (following <= 0xD7))  # restarts
    markers = at[is_marker]
    if not len(markers):
        raise InputError(SUBJECT, "have no end-of-image marker: the file is truncated")
    first = int(markers[0])
    if data[first + 1] != 0xD9:
        raise InputError(SUBJECT, f"have the stray marker FF{data[first + 1]:02X} inside the image: they are damaged")
    end = start + first + 2
    if first == 0 or frame[end:].strip(b"\x00\xff"):
        raise InputError(SUBJECT, "go on after their end-of-image marker, or hold nothing before it: they are damaged")
    return end


def jpeg2000(frame: bytes) -> Codestream:
    """A JPEG 2000 frame, bare or (as RSNA's files have it) inside a JP2 wrapper.

    Checked are SOC, SIZ, the chain of tile-parts with their lengths, that every tile is there, and EOC (T.800
    Annex A).
    """
    data = _unwrapped(frame)
    if data[:4] != b"\xff\x4f\xff\x51":
        raise InputError(
            SUBJECT, f"begin with {data[:4].hex() or 'nothing'}, expected a JPEG 2000 codestream (FF4FFF51)"
        )
    if len(data) < 45:
        raise InputError(SUBJECT, "end inside the JPEG 2000 header: the file is truncated")
    capabilities, x1, y1, x0, y0, tile_x, tile_y, tile_x0, tile_y0 = struct.unpack_from(">H8I", data, 6)
    components, depth, step_x, step_y = struct.unpack_from(">HBBB", data, 40)
    if capabilities & 0x4000:
        raise InputError(SUBJECT, "are High-Throughput JPEG 2000, expected plain JPEG 2000")
    if not (x0 < x1 and y0 < y1 and tile_x and tile_y and step_x == step_y == 1):
        raise InputError(SUBJECT, "have an impossible JPEG 2000 size header (SIZ)")
    levels = _tile_parts(data, tiles=-(-(x1 - tile_x0) // tile_x) * -(-(y1 - tile_y0) // tile_y))
    if x0 or y0:
        levels = 0  # low-band samples would not sit where `Mammogram` says
    return Codestream(data, y1 - y0, x1 - x0, components, (depth & 0x7F) + 1, bool(depth & 0x80), levels)


def _unwrapped(frame: bytes) -> bytes:
    """The contiguous codestream box of a JP2 file (T.800 I.5.4), or the frame itself where it is bare."""
    if frame[4:8] != b"jP  ":
        return frame
    position = 0
    while position + 8 <= len(frame):
        length, kind = struct.unpack_from(">I4s", frame, position)
        header = 8
        if length == 1 and position + 16 <= len(frame):
            length, header = struct.unpack_from(">Q", frame, position + 8)[0], 16
        if kind == b"jp2c":
            return frame[position + header : position + length if length else len(frame)]
        if length < header:
            break
        position += length
    raise InputError(SUBJECT, "are a JP2 wrapper without a codestream")


def _tile_parts(data: bytes, *, tiles: int) -> int:
    """Decomposition levels from COD; `InputError` unless all tile-parts and the end are there."""
    position, levels = 2, 0
    while data[position : position + 2] != b"\xff\x90":
        if data[position : position + 1] != b"\xff" or position + 4 > len(data):
            raise InputError(SUBJECT, "end inside the JPEG 2000 main header: the file is truncated or damaged")
        length = _u16(data, position + 2)
        if length < 2 or position + 2 + length > len(data):
            raise InputError(SUBJECT, "end inside a JPEG 2000 segment: the file is truncated or damaged")
        if data[position + 1] == 0x52 and length >= 12:  # COD
            levels = data[position + 9]
        position += 2 + length
    seen = set()
    while data[position : position + 2] == b"\xff\x90":  # SOT
        if position + 12 > len(data):
            raise InputError(SUBJECT, "end inside a JPEG 2000 tile header: the file is truncated")
        tile, length = struct.unpack_from(">HI", data, position + 4)
        seen.add(tile)
        if length == 0:  # the last tile-part may leave its length open: it lasts to EOC
            position = max(len(data.rstrip(b"\x00")) - 2, position + 12)
            break
        if length < 14 or position + length > len(data):
            missing = position + length - len(data)
            raise InputError(SUBJECT, f"lack {max(missing, 0)} bytes of JPEG 2000 tile {tile}: the file is truncated")
        position += length
    if data[position : position + 2] != b"\xff\xd9":
        raise InputError(
            SUBJECT, "have no JPEG 2000 end marker (FFD9) where one belongs: the file is truncated or damaged"
        )
    if len(seen) != tiles or levels > 32:
        raise InputError(
            SUBJECT, f"hold {len(seen)} JPEG 2000 tiles, expected {tiles}: the file is truncated or damaged"
        )
    return levels


def rle_segments(frame: bytes, bytes_per_pixel: int) -> list[bytes]:
    """The byte planes of an RLE frame, most significant first, still packed (PS3.5 G.5)."""
    if len(frame) < 64:
        raise InputError(SUBJECT, f"have {len(frame)} bytes, expected an RLE header of 64")
    count, *offsets = struct.unpack_from("<16I", frame, 0)
    if count != bytes_per_pixel:
        raise InputError(
            SUBJECT, f"have {count} RLE segments, expected {bytes_per_pixel}, one for each byte of a pixel"
        )
    bounds = [*offsets[:count], len(frame)]
    if bounds[0] != 64 or any(first >= last for first, last in pairwise(bounds)):
        raise InputError(SUBJECT, f"have RLE segments at bytes {bounds[:-1]} of {len(frame)}, expected them in order")
    return [frame[first:last] for first, last in pairwise(bounds)]


def _u16(data: bytes, position: int) -> int:
    if position + 2 > len(data):
        raise InputError(SUBJECT, f"end at byte {len(data)}: the file is truncated")
    return int.from_bytes(data[position : position + 2], "big")
