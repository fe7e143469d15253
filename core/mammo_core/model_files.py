"""Where checkpoints are found: those that ship with the product, and files. Knows nothing of what is in them."""

from importlib.resources import files
from pathlib import Path

from mammo_core.errors import InputError

DEFAULT_MODEL = "phantom-demo"
"""Name of the bundled checkpoint that is used where none is asked for."""


def bundled_models() -> dict[str, Path]:
    """Name -> file of every checkpoint that ships with the product, sorted by name."""
    folder = Path(str(files("mammo_assets"))) / "models"
    return {path.stem: path for path in sorted(folder.glob("*.safetensors"))}


def find_model(name_or_path: str | None = None) -> Path:
    """Find a bundled model by name, else a checkpoint file; None asks for the default.

    Raises InputError listing the bundled names where there is neither.
    """
    bundled = bundled_models()
    wanted = DEFAULT_MODEL if name_or_path is None else name_or_path
    if wanted in bundled:
        return bundled[wanted]
    path = Path(wanted)
    if path.is_file():
        return path
    known = ", ".join(bundled) or "none"
    raise InputError(f"model {wanted!r}", f"is neither a file nor a bundled model (bundled: {known})")
