"""The app's page in a browser: views to drop on it, opening it, and waiting until a view is on screen."""

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from app_server import AppServer
from tiny_dicom import breast, write_mammogram

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from conftest import PageLog

HUNG = {"RCC": "P\\L", "LCC": "A\\R", "RMLO": "P\\FL", "LMLO": "A\\FR"}

DROP = """([files]) => {
  const data = new DataTransfer();
  for (const [name, content] of files) {
    data.items.add(new File([Uint8Array.from(atob(content), (c) => c.charCodeAt(0))], name));
  }
  const at = document.querySelector("#worklist");
  for (const type of ["dragenter", "dragover", "drop"]) {
    at.dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true }));
  }
}"""

READY = """(label) => {
  const viewer = window.mammoViewer, image = viewer?.panes[viewer.paneOf(label)]?.image;
  return Boolean(image && viewer.store.ready(image.url));
}"""


def view(path: Path, label: str, *, patient: str = "P1", study: str = "1.2.3", **options: Any) -> Path:
    """One view with the breast where its orientation puts it, and a spot above the middle."""
    orientation = options.pop("orientation", HUNG[label])
    pixels = options.pop("pixels", None)
    if pixels is None:
        pixels = stored(orientation.startswith("P"))
    number = list(HUNG).index(label) + 1
    return write_mammogram(
        path,
        pixels,
        ImageLaterality=label[0],
        ViewPosition=label[1:],
        PatientOrientation=orientation.split("\\"),
        PatientID=patient,
        StudyInstanceUID=study,
        SOPInstanceUID=f"{study}.{number}",
        **options,
    )


def stored(breast_right: bool) -> NDArray[np.int64]:
    pixels = breast(side="left")
    pixels[20:26, 8:14] = 3900
    return pixels[:, ::-1] if breast_right else pixels


def exam(folder: Path, **options: Any) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    return [view(folder / f"{label}.dcm", label, **options) for label in HUNG]


def drop(page: "Page", files: list[Path]) -> None:
    """Drop files on the page, as the browser does when somebody lets go of them."""
    page.evaluate(DROP, [[[file.name, base64.b64encode(file.read_bytes()).decode()] for file in files]])


def open_app(page: "Page", server: AppServer, query: str = "") -> None:
    page.goto(server.url + query)
    page.wait_for_function("window.mammoViewer !== undefined")


def wait_shown(page: "Page", *labels: str) -> None:
    for label in labels:
        page.wait_for_function(READY, arg=label)


def expect_end_of_server(page_log: "PageLog") -> None:
    """Allow what a page complains of when its server ends before it, in whichever of its questions that happens."""
    for part in ("AbortError", "Connection", "ERR_", "fetch", "Cancelled via cancel scope", "network error"):
        page_log.expect_error(part)
