"""Where checkpoints are found: those that ship with the product, and files; and what a file says it learnt from.

Knows nothing of what else is in them, and imports nothing that takes long.
"""

import json
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from mammo_core.errors import InputError

DEFAULT_MODEL = "screening256"
"""Name of the bundled checkpoint that is used where none is asked for."""
PHANTOM_MODEL = "phantom-demo"
"""Name of the bundled checkpoint that reads synthetic exams, as long as the model in use did not learn from such."""
CHECKPOINT_KEY = "mammo_checkpoint"
"""Where a safetensors file's metadata hold a checkpoint's header."""


def bundled_models() -> dict[str, Path]:
    """Name -> file of every checkpoint that ships with the product, the default first, the others by name."""
    folder = Path(str(files("mammo_assets"))) / "models"
    found = sorted(folder.glob("*.safetensors"), key=lambda path: (path.stem != DEFAULT_MODEL, path.stem))
    return {path.stem: path for path in found}


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


def learnt_from_phantoms(path: Path) -> bool:
    """Whether a checkpoint says that it learnt from synthetic mammograms; False for a file that is none."""
    return _learnt_from_phantoms(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _learnt_from_phantoms(path: Path, _changed: int) -> bool:
    # A safetensors file begins with the length of its JSON; loading it as a checkpoint would import torch.
    try:
        with path.open("rb") as stream:
            length = min(int.from_bytes(stream.read(8), "little"), path.stat().st_size)
            header = json.loads(json.loads(stream.read(length))["__metadata__"][CHECKPOINT_KEY])
        return bool(header["training_domain"] == "phantom")
    except (ValueError, KeyError, TypeError, RecursionError):
        return False
