"""The app's own routes: pixels, heatmaps, lookup tables, the CSV of reads, files sent by the page, static files.

Every path parameter is a content hash or an identifier made of hex digits; nothing else names a file. AI is not
sent where blind mode hides it, whatever the page asks for.
"""

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import numpy as np
from fastapi import APIRouter, FastAPI, HTTPException, Query, Request
from fastapi import Path as PathParameter
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.requests import ClientDisconnect

import mammo_assets
from mammo_core.errors import InputError
from mammo_core.library import HeatRecord, Library, reads_csv
from mammo_core.mammogram import VoiLut
from mammo_gui.job_routes import job_routes
from mammo_gui.model_routes import model_routes
from mammo_gui.receiving import Receiving, plain_name
from mammo_gui.training import Training
from mammo_gui.worker import Worker

Sha256 = Annotated[str, PathParameter(pattern="^[0-9a-f]{64}$")]
Batch = Annotated[str, PathParameter(pattern="^[0-9a-f]{32}$")]

# The address of pixels changes with their content, so that a browser may keep them; AI must be asked for each time.
_KEEP = {"Cache-Control": "private, max-age=31536000, immutable"}
_ASK = {"Cache-Control": "private, no-store"}
_RAW = "application/octet-stream"


def add_routes(app: FastAPI, library: Library, worker: Worker, training: Training) -> None:
    """Put every route under ``/mammo`` into ``app``."""
    folder = Path(mammo_assets.__file__).parent
    for name in ("viewer", "theme"):
        app.mount(f"/mammo/static/{name}", StaticFiles(directory=folder / name), name=f"static-{name}")
    app.include_router(_image_routes(library), prefix="/mammo")
    app.include_router(_intake_routes(Receiving(library.folder / "incoming"), worker), prefix="/mammo")
    app.include_router(model_routes(library), prefix="/mammo")
    app.include_router(job_routes(training), prefix="/mammo")
    app.include_router(_alive_route(), prefix="/mammo")
    app.add_exception_handler(InputError, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)


def _refused(_: Request, error: Exception) -> Response:
    return PlainTextResponse(str(error), 422)


def _malformed(_: Request, error: Exception) -> Response:
    """Say in a sentence what is wrong with a request, without what was sent."""
    found = error.errors() if isinstance(error, RequestValidationError) else []
    return PlainTextResponse("; ".join(f"{problem['loc'][-1]}: {problem['msg']}" for problem in found), 422)


def _alive_route() -> APIRouter:
    """An answer as long as this process runs: pages see by it that the app was ended, or ended and started again."""
    router, started = APIRouter(), secrets.token_hex(8)

    @router.get("/alive")
    def alive() -> Response:
        return PlainTextResponse(started, headers=_ASK)

    return router


def _image_routes(library: Library) -> APIRouter:
    router = APIRouter()

    @router.get("/pixels/{sha256}")
    def pixels(sha256: Sha256) -> Response:
        _study_of(library, sha256)
        headers = {"Content-Encoding": "gzip", "Vary": "Accept-Encoding", **_KEEP}
        return Response(library.pixels(sha256), media_type=_RAW, headers=headers)

    @router.get("/lut/{sha256}/{number}")
    def lut(sha256: Sha256, number: int) -> Response:
        vois = library.study(_study_of(library, sha256)).image(sha256).header.vois
        voi = vois[number] if 0 <= number < len(vois) else None
        if not isinstance(voi, VoiLut):
            raise HTTPException(404)
        return Response(np.asarray(voi.values, dtype="<u2").tobytes(), media_type=_RAW, headers=_KEEP)

    @router.get("/heat/{sha256}")
    def heat(sha256: Sha256, method: Annotated[str, Query(pattern="^[a-z]{1,32}$")]) -> Response:
        return Response(library.heat(_heat(library, sha256, method)), media_type=_RAW, headers=_ASK)

    @router.get("/reads.csv")
    def reads() -> Response:
        name = f"mammo-gui-reads-{datetime.now(UTC):%Y-%m-%d}.csv"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', **_ASK}
        return Response(reads_csv(library), media_type="text/csv; charset=utf-8", headers=headers)

    return router


def _study_of(library: Library, sha256: str) -> int:
    study_id = library.study_of(sha256)
    if study_id is None:
        raise HTTPException(404)
    return study_id


def _heat(library: Library, sha256: str, method: str) -> HeatRecord:
    study = library.study(_study_of(library, sha256))
    if study.ai_hidden:
        raise HTTPException(403, "blind mode: record your own call first")
    if study.ai is None or (sha256, method) not in study.ai.heats:
        raise HTTPException(404)
    return study.ai.heats[(sha256, method)]


def _intake_routes(receiving: Receiving, worker: Worker) -> APIRouter:
    router = APIRouter()
    worker.take_over(receiving.taken_over, receiving.lost)

    @router.post("/intake/{batch}/file")
    async def receive(request: Request, batch: Batch, name: Annotated[str, Query(max_length=1024)]) -> Response:
        length = request.headers.get("content-length", "")
        try:
            await receiving.keep(batch, name, int(length) if length.isdigit() else None, request.stream())
        except ClientDisconnect:
            raise InputError(plain_name(name), "broke off while it was sent") from None
        return Response(status_code=204)

    @router.post("/intake/{batch}/done")
    def done(batch: Batch) -> Response:
        worker.add_received(receiving.finished(batch))
        return Response(status_code=204)

    return router
