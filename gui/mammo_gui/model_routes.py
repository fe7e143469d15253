"""Routes of the Models tab: checkpoints sent by the page, and the evaluation reports that lie beside them.

A report is a whole page that somebody's command has made: it is shown in a frame of its own and can do nothing here.
"""

import shutil
from pathlib import Path, PurePosixPath
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse, PlainTextResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from mammo_core.errors import InputError
from mammo_core.library import Library
from mammo_core.library.models import CHECKPOINT, EVIDENCE, REPORT
from mammo_gui.receiving import Received, Receiving, plain_name

Sha256 = Annotated[str, PathParameter(pattern="^[0-9a-f]{64}$")]
Batch = Annotated[str, PathParameter(pattern="^[0-9a-f]{32}$")]

_SUFFIX = ".safetensors"
# The report brings its own scripts for its plots. Without "allow-same-origin" they run as those of no site at all.
_REPORT_POLICY = "; ".join(
    (
        "sandbox allow-scripts allow-popups",
        "default-src 'none'",
        "img-src data:",
        "style-src 'unsafe-inline'",
        "script-src 'unsafe-inline'",
        "frame-ancestors 'self'",
    )
)
REPORT_HEADERS = {
    "Content-Security-Policy": _REPORT_POLICY,
    "X-Frame-Options": "SAMEORIGIN",
    "Cache-Control": "private, no-store",
}


def model_routes(library: Library) -> APIRouter:
    """Make the routes."""
    router = APIRouter()
    receiving = Receiving(library.folder / "incoming-models")
    for left in receiving.taken_over:  # the page that sent them has been told that the app was gone
        shutil.rmtree(left.folder, ignore_errors=True)

    @router.post("/model/{batch}/file")
    async def receive(request: Request, batch: Batch, name: Annotated[str, Query(max_length=1024)]) -> Response:
        length = request.headers.get("content-length", "")
        try:
            await receiving.keep(batch, name, int(length) if length.isdigit() else None, request.stream())
        except ClientDisconnect:
            raise InputError(plain_name(name), "broke off while it was sent") from None
        return Response(status_code=204)

    @router.post("/model/{batch}/done")
    async def done(batch: Batch) -> Response:
        received = receiving.finished(batch)
        try:
            return PlainTextResponse(await run_in_threadpool(_added, library, received))
        finally:
            shutil.rmtree(received.folder, ignore_errors=True)

    @router.get("/report/{sha256}")
    def report(sha256: Sha256) -> Response:
        entry = next((entry for entry in library.models.all() if entry.sha256 == sha256), None)
        if entry is None or not (entry.evidence / REPORT).is_file():
            raise HTTPException(404)
        return FileResponse(entry.evidence / REPORT, media_type="text/html", headers=REPORT_HEADERS)

    return router


def _added(library: Library, received: Received) -> str:
    """Take a checkpoint in with the evidence that was sent beside it; return its hash."""
    names = {number: PurePosixPath(name).name for number, name in received.names.items()}
    checkpoints = [number for number, name in names.items() if name.endswith(_SUFFIX)]
    if len(checkpoints) != 1:
        given = ", ".join(sorted(names.values()))
        raise InputError(given[:200], f"has {len(checkpoints)} files {_SUFFIX}; expected one checkpoint")
    for number, name in names.items():
        if name in EVIDENCE:
            (received.folder / number).rename(received.folder / name)
    file = (received.folder / checkpoints[0]).rename(received.folder / CHECKPOINT)
    try:
        return library.models.add(Path(file), origin="imported").sha256
    except InputError as error:
        own = names[checkpoints[0]]
        raise InputError(own if error.subject == CHECKPOINT else error.subject, error.reason) from None
