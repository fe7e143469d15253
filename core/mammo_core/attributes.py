"""Single attributes of a DICOM header as plain values: text, numbers, sequences, or an error that names them.

pydicom converts values when they are asked for, so that a malformed one raises in the middle of anything.
Every access to a header goes through these functions, and none of them raises anything but `InputError`.
"""

import math
import warnings

from pydicom import config
from pydicom.datadict import dictionary_description, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.uid import UID

from mammo_core.errors import InputError


def label(keyword: str) -> str:
    """``"Window Width (0028,1051)"`` for ``"WindowWidth"``: how messages name an attribute."""
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return f"{dictionary_description(tag)} ({tag >> 16:04X},{tag & 0xFFFF:04X})"


def uid_name(uid: str) -> str:
    """What a UID stands for (PS3.6), or the UID itself where it is unknown or malformed."""
    return printable(UID(uid, config.IGNORE).name)[:80]


def printable(written: str) -> str:
    """The text with a question mark for every control character: what a file holds may end up on a terminal."""
    return "".join(character if character.isprintable() else "?" for character in written)


def text(dataset: Dataset, keyword: str) -> str:
    """The attribute as one stripped, printable line; several values are joined by a backslash."""
    value = _value(dataset, keyword)
    if value is None:
        return ""
    parts = value if isinstance(value, MultiValue | list | tuple) else [value]
    joined = "\\".join(str(part) for part in parts)
    return "".join(character for character in joined if character.isprintable()).strip()[:1024]


def texts(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """The attribute's values, stripped; empty where it is absent."""
    joined = text(dataset, keyword)
    return tuple(part.strip() for part in joined.split("\\")) if joined else ()


def numbers(dataset: Dataset, keyword: str) -> tuple[float, ...]:
    """The attribute's values as finite numbers; empty where it is absent or empty."""
    value = _value(dataset, keyword)
    if value is None or value == "":
        return ()
    parts = value if isinstance(value, MultiValue | list | tuple) else [value]
    try:
        found = tuple(float(str(part)) for part in parts)
    except (TypeError, ValueError, OverflowError):
        raise InputError(label(keyword), f"is {_shown(value)}, expected numbers") from None
    if not all(math.isfinite(number) for number in found):
        raise InputError(label(keyword), f"is {_shown(value)}, expected finite numbers")
    return found


def number(dataset: Dataset, keyword: str) -> float | None:
    """The attribute as one finite number; None where it is absent or empty."""
    found = numbers(dataset, keyword)
    if not found:
        return None
    if len(found) > 1:
        raise InputError(label(keyword), f"has {len(found)} values, expected one")
    return found[0]


def lenient_number(dataset: Dataset, keyword: str) -> float | None:
    """The attribute as one finite number, None also where it is malformed: for what can be done without."""
    try:
        found = numbers(dataset, keyword)
    except InputError:
        return None
    return found[0] if len(found) == 1 else None


def integer(dataset: Dataset, keyword: str) -> int | None:
    """The attribute as one whole number; None where it is absent or empty."""
    found = number(dataset, keyword)
    if found is None:
        return None
    if found != int(found):
        raise InputError(label(keyword), f"is {found:g}, expected a whole number")
    return int(found)


def items(dataset: Dataset, keyword: str) -> tuple[Dataset, ...]:
    """The items of a sequence; empty where it is absent or is no sequence."""
    value = _value(dataset, keyword)
    if not isinstance(value, Sequence):
        return ()
    return tuple(value)


def raw(dataset: Dataset, keyword: str) -> bytes | None:
    """The attribute's bytes, or None where it is absent or not held as bytes."""
    value = _value(dataset, keyword)
    return bytes(value) if isinstance(value, bytes | bytearray) else None


def _value(dataset: Dataset, keyword: str) -> object:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is wrong with a value is said by whoever needs it
            return dataset.get(keyword)
    except Exception as error:  # pydicom raises what its converters raise: ValueError, struct.error, KeyError...
        raise InputError(label(keyword), f"cannot be read ({_first_line(error)})") from error


def _shown(value: object) -> str:
    written = str(value)
    return written if len(written) <= 60 else written[:57] + "..."


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0][:120] if lines else type(error).__name__
