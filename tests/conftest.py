"""Fixtures that several tests share: where the real mammograms are, if this machine has them."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real mammograms beside the repository; a user's machine does not have it."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip("the folder of real mammograms (../shared/data) is not on this machine")
    return folder
