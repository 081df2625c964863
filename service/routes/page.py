"""`/`: a page for people. A photo in; out, where its information lies, which images are like it, and why."""

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse

from service.http.content_security_policy import page_policy
from service.outputs.lines import NDJSON
from service.page import FILES, FOLDER

router = APIRouter(tags=["service"])

# Pictures that the browser has from the user.
_HEADERS = page_policy(images="blob:")


@router.get("/", include_in_schema=False)
async def page() -> FileResponse:
    return FileResponse(FOLDER / "index.html", headers=_HEADERS)


@router.get("/page/{name}", include_in_schema=False)
async def page_file(name: str) -> FileResponse:
    """One of the files that the page loads."""
    if name not in FILES:
        raise HTTPException(404, f"the page has no file {name}")
    return FileResponse(FOLDER / name, media_type=NDJSON if name.endswith(".ndjson") else None)
