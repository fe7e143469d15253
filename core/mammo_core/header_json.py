"""A `Header` as JSON and back: how headers travel between processes and rest in the library."""

import base64
import json
from dataclasses import asdict
from typing import Any

from mammo_core.errors import InputError
from mammo_core.mammogram import Hanging, Header, Spacing, Voi, VoiLut, Window


def header_to_json(header: Header) -> str:
    """One line of JSON; every float survives to the bit, and tables travel as base64."""
    return json.dumps(asdict(header), ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_base64)


def header_from_json(written: str) -> Header:
    """The header that `header_to_json` wrote; `InputError` for anything else."""
    try:
        fields: dict[str, Any] = json.loads(written)
        box, padding, spacing = fields["breast_box"], fields["padding"], fields["spacing"]
        fields["vois"] = tuple(_voi(voi) for voi in fields["vois"])
        fields["hanging"] = Hanging(**fields["hanging"])
        fields["spacing"] = None if spacing is None else Spacing(**spacing)
        fields["padding"] = None if padding is None else (padding[0], padding[1])
        fields["breast_box"] = (box[0], box[1], box[2], box[3])
        for name in ("view_modifiers", "warnings", "patient_orientation"):
            fields[name] = tuple(fields[name])
        return Header(**fields)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError("header", f"is not a mammogram's header as JSON ({type(error).__name__}: {error})") from error


def _voi(fields: dict[str, Any]) -> Voi:
    if "entries" in fields:
        return VoiLut(**{**fields, "entries": base64.b64decode(fields["entries"], validate=True)})
    return Window(**fields)


def _base64(value: object) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"{type(value).__name__} has no place in a header")
