"""POST /v1/models/{name}/load: load another version of a served model without a restart."""

from fastapi import APIRouter, Request, Response
from pydantic import Field

from service.http.authentication import require_admin
from service.inputs.body import read_body
from service.inputs.images import json_object
from service.inputs.parameters import Parameters, merge, parse, query_of, refused
from service.outputs import accept
from service.outputs.json import json_response
from service.routes import description
from service.routes.models import describe
from service.runtime import runtime_of

PATH = "/v1/models/{name:path}/load"

router = APIRouter(tags=["models"])


class LoadParameters(Parameters):
    """Parameters of the request."""

    version: int | None = Field(
        default=None,
        ge=1,
        description="version to load; by default the one that the entry of the settings means now",
    )


# The path names the model, so the parameter adds nothing.
_MEANINGLESS = ("model",)


@router.post(
    PATH,
    summary="Serve another version of a model, once it is warm and has passed its self-test",
    responses=description.answers(accept.JSON),
    openapi_extra={
        **description.operation(PATH, LoadParameters, without=_MEANINGLESS),
        "requestBody": description.json_body(LoadParameters, without=_MEANINGLESS),
    },
)
async def load_model(request: Request) -> Response:
    """Answer once every process serves the version; where it is refused, the one before it serves on."""
    require_admin(request)
    runtime, name = runtime_of(request), request.path_params["name"]
    body = await read_body(request, runtime.settings.max_request_bytes)
    members = json_object(body) if body.strip() else {}
    parameters = parse(LoadParameters, merge(query_of(request), members.items()))
    if parameters.model not in (None, name):
        raise refused(
            f"The path names the model {name[:100]!a} and the request another. Leave the request's model out."
        )
    entry = runtime.models.find(name).entry
    await runtime.load_requests.load(entry, parameters.version)
    return json_response(describe(runtime.models.of(entry), runtime.settings))
