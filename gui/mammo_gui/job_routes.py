"""Routes of the Train tab: the page that a job has written, and small pictures of a prepared set."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse, Response

from mammo_gui.model_routes import REPORT_HEADERS
from mammo_gui.training import Training

JobId = Annotated[str, PathParameter(pattern="^[0-9a-f]{12}$")]


def job_routes(training: Training) -> APIRouter:
    """Make the routes."""
    router = APIRouter()

    @router.get("/job/{job_id}/report")
    def report(job_id: JobId) -> Response:
        page = training.report(job_id)
        if page is None:
            raise HTTPException(404)
        return FileResponse(page, media_type="text/html", headers=REPORT_HEADERS)

    @router.get("/set-picture")
    def picture(folder: Annotated[str, Query(max_length=4096)], row: Annotated[int, Query(ge=0)]) -> Response:
        headers = {"Cache-Control": "private, max-age=600"}
        return Response(training.sets.picture(folder, row), media_type="image/png", headers=headers)

    return router
