"""A small HTTP server for viewer tests and benchmarks: the ES modules, one page, pictures in memory."""

import gzip
import json
import threading
from collections.abc import Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

import mammo_assets

ASSETS = Path(mammo_assets.__file__).parent
TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html; charset=utf-8"}
POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:"
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>viewer</title>
<link rel="icon" href="data:,">
<style>body { margin: 0; background: #000; } .mammo-viewer { --mammo-viewer-height: 100vh; }</style>
<div id="host"><div class="mammo-viewer"></div></div><script type="module" src="/page.js"></script></html>"""
SCRIPT = """import { mountGradio } from "/viewer/viewer.js";
window.heard = [];
window.props = { value: null };
const watchers = {};
mountGradio(document.querySelector("#host"), window.props,
  (type, detail) => window.heard.push({ type, ...detail }),
  (name, act) => { watchers[name] = act; });
window.give = (value) => new Promise((resolve) => {
  window.mammoViewer.addEventListener("loaded", (event) => resolve(event.detail), { once: true });
  window.props.value = value;
  watchers.value();
});
window.display = (value) => { window.props.display = value; watchers.display(); };
"""


class PictureServer:
    """Serves ``/`` (a page with a mounted viewer), ``/viewer/*``, ``/theme/*`` and what ``put`` was given.

    ``hits`` lists the paths asked for; an answer whose path is in ``held`` waits for its event, and one whose path is
    in ``refused`` is status 422 with that sentence, as the app refuses.
    """

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.hits: list[str] = []
        self.held: dict[str, threading.Event] = {}
        self.refused: dict[str, str] = {}
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> Self:
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def put(self, path: str, array: NDArray[Any]) -> str:
        """Serve an array's little-endian bytes, gzipped, under ``path``; gives ``path``."""
        plain = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes()
        self.blobs[path] = gzip.compress(plain, 1)
        return path

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        shared = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                shared.hits.append(self.path)
                if self.path in shared.held:
                    shared.held[self.path].wait(20)
                found = shared.find(self.path)
                if self.path in shared.refused:
                    found = shared.refused[self.path].encode(), {"Content-Type": "text/plain; charset=utf-8"}
                body, headers = found if found else (b"", {})
                self.send_response(422 if self.path in shared.refused else 200 if found else 404)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                with suppress(BrokenPipeError, ConnectionResetError):  # the page may have lost interest
                    self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        return Handler

    def find(self, path: str) -> tuple[bytes, Mapping[str, str]] | None:
        """Body and headers of a path, or None."""
        if path == "/":
            return PAGE.encode(), {"Content-Type": TYPES[".html"], "Content-Security-Policy": POLICY}
        if path == "/page.js":
            return SCRIPT.encode(), {"Content-Type": TYPES[".js"]}
        if path in self.blobs:
            headers = {"Content-Type": "application/octet-stream", "Content-Encoding": "gzip"}
            return self.blobs[path], {**headers, "Cache-Control": "no-store"}
        file = ASSETS / path.removeprefix("/")
        if file.parent in (ASSETS / "viewer", ASSETS / "theme") and file.is_file():
            return file.read_bytes(), {"Content-Type": TYPES[file.suffix]}
        return None


def image(server: PictureServer, label: str, pixels: NDArray[np.uint16], **fields: object) -> dict[str, Any]:
    """One image of a payload with plain defaults; ``fields`` replaces any of them."""
    rows, columns = pixels.shape
    made: dict[str, Any] = {
        "id": label,
        "label": label,
        "laterality": label[0],
        "view": label[1:],
        "prior": False,
        "date": "20240501",
        "columns": columns,
        "rows": rows,
        "url": server.put(f"/pixels/{label}", pixels),
        "breast": [0, 0, columns, rows],
        "monochrome1": False,
        "slope": 1,
        "intercept": 0,
        "padding": None,
        "chestWall": "right" if label[0] == "R" else "left",
        "vois": [{"name": "Normal", "kind": "window", "center": 2048, "width": 4096, "function": "LINEAR"}],
        "spacing": None,
        "score": None,
        "heat": None,
        "heatReason": "",
        "facts": [],
    }
    return {**made, **json.loads(json.dumps(fields))}


def study(images: list[dict[str, Any]], **fields: object) -> dict[str, Any]:
    """Wrap images into a payload."""
    made: dict[str, Any] = {
        "nonce": "1",
        "study": "study-1",
        "title": "Test study",
        "images": images,
        "heatPeak": max([one["heat"]["peak"] for one in images if one["heat"]], default=0),
        "aiHidden": False,
        "model": None,
        "banner": "Research use only - not for diagnosis",
    }
    return {**made, **fields}
