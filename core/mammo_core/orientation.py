"""How an image is turned so that it hangs as a radiologist hangs it.

Knows laterality, Patient Orientation (0020,0020) and the side of the tissue, and nothing of files.
"""

from typing import Literal

from mammo_core.mammogram import Hanging, Laterality

_ANTERIOR_POSTERIOR = ("A", "P")


def hanging_for(
    laterality: Laterality | None,
    orientation: tuple[str, ...],
    side: Literal["left", "right"] | None,
) -> tuple[Hanging, tuple[str, ...]]:
    """The turn for one image, and warnings.

    ``orientation`` holds the values of Patient Orientation: where the rows run to (left to right) and where
    the columns run to (top to bottom), PS3.3 C.7.6.1.1.1. ``side`` is where `mammogram.tissue_side` saw the
    chest wall in the stored pixels. A right breast hangs with its chest wall on the right (rows run to P), a
    left breast on the left (rows run to A); its head or lateral side is up (columns run to F, or to the
    medial side). Without an orientation the chest wall's side gives the horizontal flip and upside-down
    cannot be known. Where laterality is unknown nothing is turned.
    """
    if laterality is None:
        return Hanging(False, False, False, "as stored: the laterality is not known"), ()
    hanging = _from_orientation(laterality, orientation)
    if hanging is None:
        return _from_tissue(laterality, side, orientation)
    if side is not None and not hanging.transpose:
        wanted = "right" if laterality == "R" else "left"
        if (side == wanted) == hanging.flip_horizontal:
            from_tissue, _ = _from_tissue(laterality, side, ())
            said = "\\".join(orientation)
            warning = (
                f"Patient Orientation (0020,0020) says {said}, but the chest wall is on the {side} of the"
                " stored picture: it is hung by the tissue. Please check laterality and hanging."
            )
            return from_tissue, (warning,)
    downwards = orientation[0] if hanging.transpose else orientation[1]
    if hanging.flip_horizontal and hanging.flip_vertical and downwards[0].upper() in ("L", "R"):
        said = "\\".join(orientation)
        warning = (
            f"Patient Orientation (0020,0020) {said} means that the picture is stored upside down; a breast labelled as"
            " the other side would look the same. Please check the laterality."
        )
        return hanging, (warning,)
    return hanging, ()


def _from_orientation(laterality: Laterality, orientation: tuple[str, ...]) -> Hanging | None:
    """The turn that Patient Orientation gives; None where it has no direction from front to back."""
    if len(orientation) != 2 or not all(orientation):
        return None
    rows, columns = orientation[0].upper(), orientation[1].upper()
    transpose = columns[0] in _ANTERIOR_POSTERIOR and rows[0] not in _ANTERIOR_POSTERIOR
    if transpose:
        rows, columns = columns, rows
    if rows[0] not in _ANTERIOR_POSTERIOR:
        return None
    medial = "L" if laterality == "R" else "R"
    if columns[0] in ("F", "H"):
        flip_vertical = columns[0] == "H"
    elif columns[0] in ("L", "R"):
        flip_vertical = columns[0] != medial
    else:
        return None
    flip_horizontal = rows[0] != ("P" if laterality == "R" else "A")
    said = "\\".join(orientation)
    return Hanging(transpose, flip_horizontal, flip_vertical, f"Patient Orientation (0020,0020) {said}")


def _from_tissue(
    laterality: Laterality, side: Literal["left", "right"] | None, orientation: tuple[str, ...]
) -> tuple[Hanging, tuple[str, ...]]:
    """The horizontal flip that puts the chest wall where it belongs."""
    unusable = f"Patient Orientation (0020,0020) is {chr(92).join(orientation)!r}, which gives no hanging. "
    prefix = unusable if any(orientation) else ""
    if side is None:
        warning = prefix + "The side of the chest wall is not clear: the image hangs as it is stored."
        return Hanging(False, False, False, "as stored: the side of the chest wall is not clear"), (warning,)
    flip = side != ("right" if laterality == "R" else "left")
    hanging = Hanging(False, flip, False, "side of the tissue; upside-down cannot be known")
    return hanging, (prefix + "It hangs by the side of the tissue.",) if prefix else ()
