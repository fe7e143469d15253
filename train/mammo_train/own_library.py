"""Which library of mammo-gui a command works with. Never makes one."""

from pathlib import Path

from mammo_core.errors import InputError
from mammo_core.library import Library, default_folder, holds_library


def own_library(folder: Path | None) -> Library | None:
    """Open the library in ``folder``, by default the user's own; None where the user has none yet.

    Raises InputError where ``folder`` is given and holds none.
    """
    place = folder or default_folder()
    if holds_library(place):
        return Library(place)
    if folder is None:
        return None
    raise InputError("--library", f"{folder} holds no library; expected a folder that mammo-gui made")
