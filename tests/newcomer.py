"""What a newcomer sees after the README's first command: the installed ``mammo-gui`` opens on a read demo library.

Run by ``.ci/run`` with the Python of a fresh environment: ``.venv/bin/python tests/newcomer.py``.
"""

import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from mammo_core.library import Library

WAIT_SECONDS = 240


def main() -> None:
    """Start the command, and wait for a page and for demo exams that the AI has read."""
    command = Path(sys.executable).with_name("mammo-gui")
    with tempfile.TemporaryDirectory() as folder:
        options = ["--library", folder, "--port", "0", "--no-browser"]
        with subprocess.Popen([command, *options], stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                greeting = process.stdout.readline()
                url = greeting.split()[4]
                with urllib.request.urlopen(url, timeout=30) as answer:
                    assert answer.status == 200
                    assert b"mammo-gui" in answer.read()
                statuses = wait_for_demo(Path(folder))
            finally:
                process.terminate()
                process.wait(timeout=60)
    print(f"{greeting.strip().splitlines()[0]}: {len(statuses)} demo exams, all read by the AI")


def wait_for_demo(folder: Path) -> list[str]:
    """Statuses of the demo exams once the AI has read them all."""
    until = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < until:
        with Library(folder) as library:
            statuses = [line.status for line in library.worklist()]
            if library.demo_made and statuses and set(statuses) == {"AI done"}:
                return statuses
        time.sleep(2)
    raise SystemExit(f"after {WAIT_SECONDS} s the demo exams were: {statuses}")


if __name__ == "__main__":
    main()
