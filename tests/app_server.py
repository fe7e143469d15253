"""The real app as its own process, on a free port and a library of the test's own."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mammo_core.library import Library

COMMAND = "from mammo_gui.launch import app; app()"
START_SECONDS = 120


@dataclass(frozen=True)
class AppServer:
    """Where the app answers and where its library is."""

    url: str
    library: Path
    model: Path | None

    def opened(self) -> Library:
        """The library as the app sees it, with the model that it was started with."""
        library = Library(self.library)
        if self.model is not None:
            library.models.only_now(self.model)
        return library


@contextmanager
def app_server(library: Path, *, model: Path | None = None) -> Iterator[AppServer]:
    """Start ``mammo-gui`` and wait until it says its address; end it like Ctrl+C does."""
    command = [sys.executable, "-c", COMMAND, "--library", str(library), "--port", "0", "--no-browser"]
    command += [] if model is None else ["--model", str(model)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        watchdog = threading.Timer(START_SECONDS, process.kill)
        watchdog.start()
        assert process.stdout is not None
        said: list[str] = []
        for line in process.stdout:
            said.append(line)
            if "is running at" in line:
                break
        watchdog.cancel()
        # Whatever it says later must not fill the pipe.
        drain = threading.Thread(target=process.stdout.read, daemon=True)
        drain.start()
        try:
            assert process.poll() is None, "".join(said)
            yield AppServer(said[-1].split()[4].rstrip("/"), library, model)
        finally:
            process.terminate()
            try:
                process.wait(timeout=60)
            finally:
                process.kill()
                drain.join(timeout=10)
