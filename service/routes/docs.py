"""`/docs`: the interface to read and to try out in a browser."""

import base64
import hashlib
import re

from fastapi import APIRouter
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import Response

router = APIRouter(tags=["service"])

# Where FastAPI takes Swagger UI from too. The browser fetches it; nothing else here needs a network.
_LIBRARY = "https://cdn.jsdelivr.net/npm/swagger-ui-dist@5/"
_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


def _page() -> tuple[bytes, str]:
    """The page, and a policy under which a browser runs its one script and no other."""
    answer = get_swagger_ui_html(
        openapi_url="/openapi.json",
        title="Infomax",
        swagger_js_url=f"{_LIBRARY}swagger-ui-bundle.js",
        swagger_css_url=f"{_LIBRARY}swagger-ui.css",
        # None of its own: the browser asks for none where one is given.
        swagger_favicon_url="data:,",
    )
    content = bytes(answer.body)
    (script,) = _SCRIPT.findall(content)
    digest = base64.b64encode(hashlib.sha256(script).digest()).decode()
    policy = {
        "default-src": "'none'",
        "script-src": f"{_LIBRARY} 'sha256-{digest}'",
        # Swagger UI sets styles on its elements.
        "style-src": f"{_LIBRARY} 'unsafe-inline'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return content, "; ".join(f"{name} {sources}" for name, sources in policy.items())


_PAGE, _POLICY = _page()


@router.get("/docs", include_in_schema=False)
async def docs() -> Response:
    return Response(_PAGE, headers={"Content-Security-Policy": _POLICY}, media_type="text/html")
