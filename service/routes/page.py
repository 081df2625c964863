"""`/`: a page for people. A photo in; out, where its information lies, which images are like it, and why."""

from pathlib import Path

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse

from service.outputs.lines import NDJSON

router = APIRouter(tags=["service"])

_FOLDER = Path(__file__).parents[1] / "page"
FILES = ("api.js", "map.js", "page.css", "page.js", "samples.ndjson", "thumbnail.js")
# Nothing but the page's own files, and pictures that the browser has from the user or the service.
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)


@router.get("/", include_in_schema=False)
async def page() -> FileResponse:
    return FileResponse(_FOLDER / "index.html", headers={"Content-Security-Policy": _POLICY})


@router.get("/page/{name}", include_in_schema=False)
async def page_file(name: str) -> FileResponse:
    """One of the files that the page loads."""
    if name not in FILES:
        raise HTTPException(404, f"the page has no file {name}")
    return FileResponse(_FOLDER / name, media_type=NDJSON if name.endswith(".ndjson") else None)
