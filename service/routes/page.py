"""`/`: the page. It shows a photo's MI map, the images nearest to it, and why they are near."""

from fastapi import APIRouter, Request
from starlette.responses import FileResponse

from service.http.content_security_policy import page_policy
from service.http.routing import no_such_route
from service.outputs.lines import NDJSON
from service.page import FILES, FOLDER

router = APIRouter(tags=["service"])

# `blob:` is for pictures from the user's disk.
_HEADERS = page_policy(images="blob:")


@router.get("/", include_in_schema=False)
async def page(_request: Request) -> FileResponse:
    return FileResponse(FOLDER / "index.html", headers=_HEADERS)


@router.get("/page/{name}", include_in_schema=False)
async def page_file(request: Request) -> FileResponse:
    """Answer one of the files that the page loads."""
    name = request.path_params["name"]
    if name not in FILES:
        raise no_such_route(request.method, request.scope["path"])
    return FileResponse(FOLDER / name, media_type=NDJSON if name.endswith(".ndjson") else None)
