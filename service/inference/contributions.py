"""Contribution maps in the pipeline: their cost, and the covered copies of images behind them."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from contract.occlusion import Occlusion
from service.errors import ServiceError
from service.inference.calls import Call, CoveredCopy, Item
from service.inference.further_runs import DECODED
from service.inference.map_cost import MapCost
from service.inference.model import Model
from service.inference.results import Embedded, Failed, Outcome, Priority, Want

# Anything but none, which would have to be decoded.
_PIXELS = np.zeros((1, 1, 3), np.uint8)


class Contributions:
    """Contribution maps of one model.

    Attributes:
        of_one: covered copies of one image.
        cost: cost of a map: the image, and its covered copies, which hold no bytes until they are encoded.
        want: what an image needs first, at least.
        displacements: none: no windows are needed.
    """

    want = Want.CONTRIBUTION
    displacements: tuple[float, ...] = ()

    def __init__(self, model: Model) -> None:
        grid = model.card.patch_grid
        self._model = model
        self._plan = Occlusion(grid.rows, grid.columns)
        self.of_one = len(self._plan)
        self.cost = MapCost("contribution maps", 1 + self.of_one)
        self._origin: NDArray[np.float32] | None = None

    async def open(self) -> None:
        """Get the model ready for covered copies.

        Raises:
            ServiceError: 422 `no_contributions` for a model whose code needs more than its features.
        """
        self._origin = await asyncio.to_thread(self._model.open_trunk)
        if self._origin is None:
            raise ServiceError(
                422,
                "no_contributions",
                f"The code of {self._model.card.id} does not follow from its features alone, so that no "
                "contributions can be told. Ask for another kind of map.",
            )

    def items(self, images: Sequence[Item], outcomes: Sequence[Outcome], call: Call) -> list[Item]:  # noqa: ARG002
        """Make the covered copies of encoded images, image by image."""
        encoded = [image for image in outcomes if isinstance(image, Embedded) and image.features is not None]
        return [
            Item(
                call,
                place * self.of_one + number,
                Want.EMBEDDING,
                Priority.BULK,
                b"",
                DECODED,
                _PIXELS,
                CoveredCopy(image.features, keep),
                image.image,
            )
            for place, image in enumerate(encoded)
            for number, keep in enumerate(self._plan.keep)
            if image.features is not None
        ]

    def outcome(self, image: Embedded, found: Sequence[Outcome]) -> Outcome:
        """Put the map of an image together from its copies; a copy that failed fails the image."""
        assert self._origin is not None  # noqa: S101 (`open` comes first)
        codes = []
        for copy in found:
            if isinstance(copy, Failed):
                return copy
            codes.append(copy.code)
        contribution = self._plan.contribution(np.stack(codes), self._origin)
        return replace(image, contribution=contribution, features=None)
