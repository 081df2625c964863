"""Maps of a request's or a stream's images; those of contrast need the index."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contract.map_kinds import MapKind
from service.errors import ServiceError
from service.index.search import Query
from service.index.store import Index
from service.inference import maps
from service.inference.maps import PatchMap
from service.inference.pipeline import Pipeline
from service.inference.results import Embedded, Failed

_NEIGHBOURS = 10
# An image that is stored under an id is its own neighbour, and no contrast to itself.
_SAME_IMAGE = 0.9999
_NOT_FINITE = Failed("inference_failed", "The map of this image is not finite.")
_CROSSED_NOT_FINITE = Failed("inference_failed", "The map of this image and the reference is not finite.")
_NO_NEIGHBOURS = Failed(
    "no_neighbours",
    "The index holds no other image to contrast this one with. Store some, or send a reference to "
    "/v1/mi-maps.",
)


@dataclass(frozen=True)
class ModelMaps:
    """Maps of one kind, by one model.

    Attributes:
        kind: of the maps.
        pipeline: of the model.
        index: of the model.
        resolution: that images are embedded at.
    """

    kind: MapKind
    pipeline: Pipeline
    index: Index
    resolution: int = 1

    async def map(self, image: Embedded, reference: Embedded | None = None) -> PatchMap | Failed:
        """Map one image, which was embedded with `service.inference.maps.WANTS` of the kind.

        Args:
            image: the image; with its projections where there is a reference.
            reference: of another image, with its projections: what to score information against, or what to
                contrast with. Without one an image is contrasted with its nearest neighbours in the index.

        Raises:
            IndexUnavailableError: neighbours are needed, and the database does not answer.
        """
        code = None
        if reference is not None and reference.projections is not None:
            code = reference.projections.global_
        if self.kind is MapKind.INFORMATION:
            made = maps.information(self.pipeline.card, image, code)
        elif self.kind is MapKind.CONTRIBUTION:
            made = maps.contribution(image)
        else:
            others = await self._neighbours(image) if code is None else code[None]
            if others is None:
                return _NO_NEIGHBOURS
            made = maps.contrast(image, others)
        if made.finite:
            return made
        return _NOT_FINITE if reference is None else _CROSSED_NOT_FINITE

    async def all(self, images: Sequence[Embedded | Failed]) -> list[PatchMap | Failed]:
        """Map the images of a stream that were embedded; after one failure of the index, no more is asked."""
        made: list[PatchMap | Failed] = []
        lost: Failed | None = None
        for image in images:
            if isinstance(image, Failed):
                made.append(image)
            elif lost is not None:
                made.append(lost)
            else:
                try:
                    made.append(await self.map(image))
                except ServiceError as error:
                    lost = Failed(error.code, str(error))
                    made.append(lost)
        return made

    async def _neighbours(self, image: Embedded) -> NDArray[np.float32] | None:
        """Project the codes of an image's nearest neighbours, [J, U]; None where there are none."""
        hits = await self.index.search(Query(image.embedding, _NEIGHBOURS + 1, with_codes=True))
        codes = [hit.code for hit in hits if hit.code is not None and hit.score < _SAME_IMAGE]
        return await self.pipeline.project(np.stack(codes[:_NEIGHBOURS])) if codes else None
