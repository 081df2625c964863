"""`/docs`: the API to read and to try out in a browser, without any other network."""

import base64
import hashlib
import re
from importlib.metadata import distribution
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import FileResponse, Response

from service.http.content_security_policy import page_policy
from service.http.routing import no_such_route
from service.outputs.json import json_response

router = APIRouter(tags=["service"])

_SCRIPT_FILE, _STYLE_FILE = "swagger-ui-bundle.js", "swagger-ui.css"
# A distribution of Swagger UI's own files; nothing of its Python code is imported.
_FOLDER = Path(str(distribution("fastapi-swagger").locate_file("fastapi_swagger/resources")))
_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


def _page() -> tuple[bytes, dict[str, str]]:
    """Make the page, and the header of the policy under which a browser runs its script and its library."""
    answer = get_swagger_ui_html(
        # Relative, like all links: the browser knows the path before them, the service may not.
        openapi_url="openapi.json",
        title="Infomax",
        swagger_js_url=f"docs/{_SCRIPT_FILE}",
        swagger_css_url=f"docs/{_STYLE_FILE}",
        # With an empty icon, the browser asks for none.
        swagger_favicon_url="data:,",
    )
    content = bytes(answer.body)
    (script,) = _SCRIPT.findall(content)
    digest = base64.b64encode(hashlib.sha256(script).digest()).decode()
    # Swagger UI sets styles on its elements.
    return content, page_policy(scripts=f"'sha256-{digest}'", styles="'unsafe-inline'")


_PAGE, _HEADERS = _page()


@router.get("/docs", include_in_schema=False)
async def docs(_request: Request) -> Response:
    return Response(_PAGE, headers=_HEADERS, media_type="text/html")


@router.get("/docs/{name}", include_in_schema=False)
async def docs_file(request: Request) -> Response:
    """Answer one of the two files that the page loads."""
    name = request.path_params["name"]
    if name not in (_SCRIPT_FILE, _STYLE_FILE):
        raise no_such_route(request.method, request.scope["path"])
    return FileResponse(_FOLDER / name, headers={"Cache-Control": "private, max-age=3600"})


@router.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request) -> Response:
    """Answer the OpenAPI document that the page shows."""
    return json_response(request.app.openapi())
