"""`/`: a page for people. A photo in; out, where its information lies, which images are like it, and why."""

from pathlib import Path

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse

from service.http.content_security_policy import page_policy
from service.outputs.lines import NDJSON

router = APIRouter(tags=["service"])

_FOLDER = Path(__file__).parents[1] / "page"
FILES = ("api.js", "map.js", "page.css", "page.js", "samples.ndjson", "thumbnail.js")
# Pictures that the browser has from the user.
_HEADERS = page_policy(images="blob:")


@router.get("/", include_in_schema=False)
async def page() -> FileResponse:
    return FileResponse(_FOLDER / "index.html", headers=_HEADERS)


@router.get("/page/{name}", include_in_schema=False)
async def page_file(name: str) -> FileResponse:
    """One of the files that the page loads."""
    if name not in FILES:
        raise HTTPException(404, f"the page has no file {name}")
    return FileResponse(_FOLDER / name, media_type=NDJSON if name.endswith(".ndjson") else None)
