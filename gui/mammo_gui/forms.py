"""What the page's forms send, checked before anything is done with it.

The page is not trusted: numbers arrive as text, fields may be missing or made up.
"""

import math
from collections.abc import Mapping
from typing import Literal, TypeVar

from mammo_core.errors import InputError
from mammo_core.library import Agreement, BreastCall, Call
from mammo_core.mammogram import Laterality
from mammo_core.projection import VIEWS

Fields = Mapping[str, object]
Choice = TypeVar("Choice", bound=str)


def number(fields: Fields, name: str) -> int:
    """A non-negative whole number; InputError for anything else."""
    text = str(fields.get(name, ""))
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise InputError(name, f"{text[:40]!r} is not a whole number")
    return int(text)


def decimal(fields: Fields, name: str) -> float:
    """A finite number, with a point or a comma; InputError for anything else."""
    text = text_of(fields, name)
    try:
        found = float(text.replace(",", "."))
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise InputError(name.replace("_", " "), f"{text[:40]!r} is not a number")
    return found


def text_of(fields: Fields, name: str) -> str:
    """Text, without the white space around it; empty where the field is missing."""
    return str(fields.get(name) or "").strip()


def call_of(fields: Fields) -> Call:
    """The reader's call from the call form."""
    agreement: Agreement = one_of(fields, "agreement", ("", "agree", "disagree"))
    return Call(_breast(fields, "right"), _breast(fields, "left"), agreement, text_of(fields, "note"))


def correction_of(fields: Fields) -> tuple[str, Laterality, str]:
    """Image, laterality and view from an assignment form."""
    laterality: Literal["L", "R"] = one_of(fields, "laterality", ("R", "L"))
    return text_of(fields, "sha256"), laterality, one_of(fields, "view", tuple(VIEWS))


def outcome_of(fields: Fields) -> tuple[int, Laterality, bool | None]:
    """Study, breast and outcome from the outcome form; None takes an outcome back."""
    laterality: Literal["L", "R"] = one_of(fields, "laterality", ("R", "L"))
    cancer = one_of(fields, "cancer", ("1", "0", "-"))
    return number(fields, "study"), laterality, None if cancer == "-" else cancer == "1"


def _breast(fields: Fields, side: str) -> BreastCall | None:
    recall = one_of(fields, f"{side}_recall", ("", "yes", "no"))
    suspicion = text_of(fields, f"{side}_suspicion")
    if not recall:
        if suspicion:
            raise InputError(f"{side} breast", "choose recall or no recall as well as a suspicion")
        return None
    return BreastCall(recall == "yes", number(fields, f"{side}_suspicion") if suspicion else None)


def one_of(fields: Fields, name: str, choices: tuple[Choice, ...]) -> Choice:
    """One of the choices; InputError that lists them for anything else."""
    value = text_of(fields, name)
    for choice in choices:
        if choice == value:
            return choice
    expected = ", ".join(choice or "nothing" for choice in choices)
    raise InputError(name, f"{value[:40]!r} is not one of {expected}")
