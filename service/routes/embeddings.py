"""POST /v1/embeddings: embeddings of images, in OpenAI's shape or as arrays."""

from time import perf_counter
from typing import Literal

import numpy as np
from fastapi import APIRouter, Request, Response
from pydantic import Field

from contract.card import ModelCard
from service.http.deadlines import within_deadline
from service.inference.results import Stages, Want
from service.inputs.images import Layout, no_image, read_payload
from service.inputs.parameters import Parameters, refused
from service.outputs import accept
from service.outputs.arrays import arrow_stream, npy
from service.outputs.embeddings import VectorEncoding, openai_list, shorten
from service.outputs.timing import server_timing
from service.routes import description
from service.routes.early_refusal import refuse_early
from service.routes.whole import embed_all
from service.runtime import runtime_of, served_for

PATH = "/v1/embeddings"

router = APIRouter(tags=["images"])

_LAYOUT = Layout("input", several=True)
_OFFERED = (accept.JSON, accept.NPY, accept.ARROW)


class EmbeddingParameters(Parameters):
    """Parameters of the request."""

    encoding_format: VectorEncoding = Field(default="float", description="how JSON writes a vector")
    dimensions: int | None = Field(
        default=None, ge=1, description="numbers of each vector to keep; by default all"
    )
    modality: Literal["image"] = Field(
        default="image", description="kind of the input, as clients of infinity name it; images are embedded"
    )

    def dimensions_of(self, card: ModelCard) -> int:
        """Return the length of the vectors to answer.

        Raises:
            ServiceError: 422 `invalid_parameter` for more numbers than the model has.
        """
        most = card.shapes.embedding
        if self.dimensions is not None and self.dimensions > most:
            raise refused(
                f"dimensions={self.dimensions} is not allowed: the embeddings of {card.id} have {most}.", most
            )
        return self.dimensions or most


@router.post(
    PATH,
    summary="Embed one image or several",
    responses=description.answers(*_OFFERED),
    openapi_extra=description.operation(PATH, EmbeddingParameters, _LAYOUT, timed=True),
)
@within_deadline
@refuse_early()
async def create_embeddings(request: Request) -> Response:
    """Embed every image of the request, or refuse it as a whole."""
    runtime = runtime_of(request)
    media_type = accept.choose(request.headers.get("accept", ""), _OFFERED)
    payload = await read_payload(request, EmbeddingParameters, _LAYOUT, runtime.settings)
    if not payload.images:
        raise no_image("name it in the member input, or send it as a file of the form")
    parameters = payload.parameters
    served = served_for(request, parameters.model)
    card = served.pipeline.card
    dimensions = parameters.dimensions_of(card)
    stages = Stages()
    embedded = await embed_all(request, served.pipeline, PATH, payload.images, Want.EMBEDDING, stages)
    started = perf_counter()
    embeddings = shorten(np.stack([one.embedding for one in embedded]), dimensions)
    if media_type == accept.NPY:
        content = npy(embeddings)
    elif media_type == accept.ARROW:
        content = arrow_stream(embeddings, card.id)
    else:
        content = openai_list(embeddings, card.id, parameters.encoding_format)
    headers = server_timing(stages, serialise=perf_counter() - started)
    return Response(content, headers=headers, media_type=media_type)
