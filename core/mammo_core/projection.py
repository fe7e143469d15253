"""Which breast an image shows, in which view: what header and file name say, and where they disagree.

Knows nothing of pixels. Sources: DICOM PS3.16 CID 4014 (views) and CID 4015 (view modifiers), PS3.3 C.8.11.7.
"""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from pydicom.dataset import Dataset

from mammo_core import attributes
from mammo_core.errors import InputError
from mammo_core.mammogram import Laterality

VIEW_CODES = {
    ("399260004", "R-10224"): "ML",
    ("399368009", "R-10226"): "MLO",
    ("399352003", "R-10228"): "LM",
    ("399099002", "R-10230"): "LMO",
    ("399162004", "R-10242"): "CC",
    ("399196006", "R-10244"): "FB",
    ("399188001", "R-102D0"): "SIO",
    ("441555000", "R-40AAA"): "ISO",
    ("399192008", "R-1024A", "Y-X1770"): "XCCL",
    ("399101009", "R-1024B", "Y-X1771"): "XCCM",
    ("R-102CF",): "XCC",
    ("127457009", "G-8310"): "SPECIMEN",
}
"""CID 4014: codes of SNOMED CT, then of SRT and SNM3 (which share values), then deprecated ones -> ACR
name."""

MODIFIER_CODES = {
    ("399161006", "R-102D2"): "Cleavage",
    ("399011000", "R-102D1"): "Axillary Tail",
    ("399197002", "R-102D3"): "Rolled Lateral",
    ("399226006", "R-102D4"): "Rolled Medial",
    ("414493004", "R-102CA"): "Rolled Inferior",
    ("415670009", "R-102C9"): "Rolled Superior",
    ("399209000", "R-102D5"): "Implant Displaced",
    ("399163009", "R-102D6"): "Magnification",
    ("399055006", "R-102D7"): "Spot Compression",
    ("399110001", "R-102C2"): "Tangential",
    ("442581004", "R-40AB3"): "Nipple in Profile",
    ("441752004", "P2-00161"): "Anterior Compression",
    ("442593008", "R-40ABE"): "Infra-mammary Fold",
    ("442580003", "R-40AB2"): "Axillary Tissue",
}
"""CID 4015, as above -> its meaning."""

MOST_MODIFIERS = len(MODIFIER_CODES)
"""Modifiers of one image that are kept: no view needs as many."""

_VIEW_OF_CODE = {code: view for codes, view in VIEW_CODES.items() for code in codes}
_MODIFIER_OF_CODE = {code: meaning for codes, meaning in MODIFIER_CODES.items() for code in codes}

VIEWS = (*dict.fromkeys(VIEW_CODES.values()), "AT")
"""Every view name that the product knows: CID 4014, and AT (axillary tail), which is MLO with a modifier
there."""

_IN_NAME = re.compile(r"^(?:(L|R)|LEFT|RIGHT)$")
_VIEW_IN_NAME = "CC|MLO|LMO|ML|LM|XCCL|XCCM|XCC|FB|AT|SIO|ISO"
_TOGETHER = re.compile(rf"^(L|R)({_VIEW_IN_NAME})\d?$")
_INBREAST = re.compile(r"^\d+_[0-9a-f]+_MG_(L|R)_(CC|ML)_ANON", re.IGNORECASE)


@dataclass(frozen=True)
class Projection:
    """Laterality and view of one image, each with its source, or None with the reason why it is not known."""

    laterality: Laterality | None
    laterality_source: str
    view: str | None
    view_source: str
    modifiers: tuple[str, ...]
    warnings: tuple[str, ...]


def projection_of(dataset: Dataset, name: str) -> Projection:
    """What header and ``name`` say; a contradiction leaves the value None, with a warning."""
    named_laterality, named_view = projection_in_name(name)
    modifiers = _modifiers(dataset)
    views = [*_views_in_header(dataset, modifiers)]
    if named_view is not None:
        views.append((named_view, "file name"))
    view, view_source, view_warnings = _agreed("view", views)

    lateralities = [*_lateralities_in_header(dataset, view)]
    if named_laterality is not None:
        lateralities.append((named_laterality, "file name"))
    side, side_source, side_warnings = _agreed("laterality", lateralities)
    laterality: Laterality | None = "L" if side == "L" else "R" if side == "R" else None
    return Projection(laterality, side_source, view, view_source, modifiers, (*side_warnings, *view_warnings))


def projection_in_name(name: str) -> tuple[Laterality | None, str | None]:
    """Laterality and view that a file name spells out, both or neither, so that chance hits are rare.

    Understood are ``LCC.dcm``, ``..._L_CC_...``, ``left-mlo`` and INbreast's
    ``<image>_<patient>_MG_L_ML_ANON``, where ML stands for MLO.
    """
    stem = PurePosixPath(name.replace("\\", "/")).name
    inbreast = _INBREAST.match(stem)
    if inbreast:
        return _side(inbreast[1]), "MLO" if inbreast[2].upper() == "ML" else "CC"
    sides: set[str] = set()
    views: set[str] = set()
    for word in re.split(r"[^A-Za-z0-9]+", stem.upper()):
        together = _TOGETHER.match(word)
        if together:
            sides.add(together[1])
            views.add(together[2])
        elif _IN_NAME.match(word):
            sides.add(word[0])
        elif re.fullmatch(_VIEW_IN_NAME, word):
            views.add(word)
    if len(sides) != 1 or len(views) != 1:
        return None, None
    return _side(sides.pop()), views.pop()


def _side(letter: str) -> Laterality:
    return "L" if letter.upper() == "L" else "R"


def _agreed(what: str, said: list[tuple[str, str]]) -> tuple[str | None, str, tuple[str, ...]]:
    """The one value that all sources give, the first source, and warnings; None where they differ."""
    if not said:
        return (
            None,
            f"neither header nor file name gives the {what}",
            (f"The {what} is missing: please enter it.",),
        )
    values = {value for value, _ in said}
    if len(values) == 1:
        return said[0][0], said[0][1], ()
    listed = ", ".join(f"{source} says {value}" for value, source in said)
    return None, f"contradictory: {listed}", (f"The {what} is contradictory: {listed}. Please enter it.",)


def _lateralities_in_header(dataset: Dataset, view: str | None) -> list[tuple[str, str]]:
    """(L or R, attribute) for every attribute that gives one (PS3.3 C.8.11.7, C.7.6.16.2.8, C.7.3.1)."""
    found = [
        (attributes.text(dataset, keyword).upper()[:1], attributes.label(keyword))
        for keyword in ("ImageLaterality", "Laterality")
    ]
    for group in attributes.items(dataset, "SharedFunctionalGroupsSequence"):
        for anatomy in attributes.items(group, "FrameAnatomySequence"):
            frame = attributes.text(anatomy, "FrameLaterality").upper()
            found.append((frame[:1], attributes.label("FrameLaterality")))
    down = "".join(attributes.texts(dataset, "PatientOrientation")[1:2]).upper()
    found.append((_implied_laterality(view, down), attributes.label("PatientOrientation")))
    return [*dict.fromkeys((value, source) for value, source in found if value in ("L", "R"))]


def _implied_laterality(view: str | None, down: str) -> str:
    """The breast of an oblique view whose columns run ``down``, such as "FL"; empty where that does not tell.

    The image lies across the beam, whose way is the view's name in CID 4014. That of MLO and LMO runs between
    superomedial and inferolateral, so that down the image is towards feet and midline: FL (or, upside down, HR) in
    a right breast. That of SIO and ISO runs between superolateral and inferomedial: down is towards feet and side.
    """
    medial = {"FL": "R", "HR": "R", "FR": "L", "HL": "L"}.get(down, "")
    if view in ("MLO", "LMO", "AT"):
        return medial
    if view in ("SIO", "ISO"):
        return {"R": "L", "L": "R"}.get(medial, "")
    return ""


def _views_in_header(dataset: Dataset, modifiers: tuple[str, ...]) -> list[tuple[str, str]]:
    """(view, attribute) from View Code Sequence, then View Position."""
    found = []
    for item in attributes.items(dataset, "ViewCodeSequence")[:1]:
        view = _VIEW_OF_CODE.get(attributes.text(item, "CodeValue").upper())
        if view == "MLO" and "Axillary Tail" in modifiers:
            view = "AT"
        if view is not None:
            found.append((view, attributes.label("ViewCodeSequence")))
    position = attributes.text(dataset, "ViewPosition").upper()
    if position in VIEWS and not (found and found[0][0] == "AT" and position == "MLO"):
        found.append((position, attributes.label("ViewPosition")))
    return found


def _modifiers(dataset: Dataset) -> tuple[str, ...]:
    """Meanings of the view's modifiers (CID 4015); an unknown code by the meaning that it carries."""
    found = []
    for view in attributes.items(dataset, "ViewCodeSequence"):
        for item in attributes.items(view, "ViewModifierCodeSequence"):
            meaning = attributes.text(item, "CodeMeaning")
            found.append(_MODIFIER_OF_CODE.get(attributes.text(item, "CodeValue").upper(), meaning))
    return tuple(dict.fromkeys(meaning for meaning in found if meaning))[:MOST_MODIFIERS]


def assigned_view(view: str) -> str:
    """A view as a person enters it, upper case; `InputError` where the product does not know it."""
    known = view.strip().upper()
    if known not in VIEWS:
        raise InputError("view", f"is {view!r}, expected one of {', '.join(VIEWS)}")
    return known


def assigned_laterality(laterality: str) -> Laterality:
    """A laterality as a person enters it; `InputError` unless it is L or R (or left, right)."""
    letter = laterality.strip().upper()
    if letter not in ("L", "R", "LEFT", "RIGHT"):
        raise InputError("laterality", f"is {laterality!r}, expected L or R")
    return _side(letter[0])
