"""Files shipped with the product: bundled models, the viewer and the theme."""

from importlib import resources
from pathlib import Path


def viewer_folder() -> Path:
    """Folder of the viewer's ES modules and style sheet, to be served as static files."""
    return Path(str(resources.files(__name__) / "viewer"))
