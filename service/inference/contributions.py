"""Contribution maps in the pipeline: their cost, and the covered copies of images behind them."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from contract.occlusion import Occlusion
from service.errors import ServiceError
from service.inference.admission import BULK_SHARE
from service.inference.calls import Call, CoveredCopy, Item
from service.inference.decode_cost import DecodeCost, SizeClass
from service.inference.model import Model
from service.inference.resources import Resources
from service.inference.results import Embedded, Failed, Outcome, Priority, Want

_DECODED = DecodeCost(SizeClass.SMALL, "", 0, 0)
# Anything but none, which would have to be decoded.
_PIXELS = np.zeros((1, 1, 3), np.uint8)


class Contributions:
    """Contribution maps of one model.

    Attributes:
        copies_of_one: covered copies of one image.
        cost: images that a map costs as much as: the image, and its covered copies.
    """

    def __init__(self, model: Model) -> None:
        grid = model.card.patch_grid
        self._model = model
        self._plan = Occlusion(grid.rows, grid.columns)
        self.copies_of_one = len(self._plan)
        self.cost = 1 + self.copies_of_one
        self._origin: NDArray[np.float32] | None = None

    def needed(self, images: Resources) -> Resources:
        """Add the copies to the resources of their images. Copies hold no bytes until they are encoded."""
        return replace(images, items=images.items * self.cost)

    def check(self, images: int, limit: Resources) -> None:
        """Refuse more maps than could ever be admitted.

        Raises:
            ServiceError: 413 `too_many_items`.
        """
        most = limit.items // self.cost
        if images > most:
            raise ServiceError(
                413,
                "too_many_items",
                f"The request asks for {images} contribution maps, each of which costs as much as "
                f"{self.cost} images; the service takes {most} at once. Send fewer in one request, or raise "
                "INFOMAX_QUEUE_ITEMS.",
                limit=most,
                setting="INFOMAX_QUEUE_ITEMS",
            )

    def part(self, limit: Resources) -> int:
        """Count the images of a stream whose copies fit into its share of the room, at least one."""
        return max(1, int(limit.items * BULK_SHARE) // self.cost)

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

    def copies(self, images: Sequence[Outcome], call: Call) -> list[Item]:
        """Make the covered copies of encoded images, image by image.

        They have the priority of streams in every call: other images need not wait for them.
        """
        encoded = [image for image in images if isinstance(image, Embedded) and image.features is not None]
        return [
            Item(
                call,
                place * self.copies_of_one + number,
                Want.EMBEDDING,
                Priority.BULK,
                b"",
                _DECODED,
                _PIXELS,
                CoveredCopy(image.features, keep),
                image.image,
            )
            for place, image in enumerate(encoded)
            for number, keep in enumerate(self._plan.keep)
            if image.features is not None
        ]

    def by_image(self, outcomes: Sequence[Outcome]) -> list[Sequence[Outcome]]:
        """Part the outcomes of all copies by their images."""
        size = self.copies_of_one
        return [outcomes[start : start + size] for start in range(0, len(outcomes), size)]

    def outcome(self, image: Embedded, copies: Sequence[Outcome]) -> Outcome:
        """Put the map of an image together from its copies; a copy that failed fails the image."""
        assert self._origin is not None  # noqa: S101 (`open` comes first)
        codes = []
        for copy in copies:
            if isinstance(copy, Failed):
                return copy
            codes.append(copy.code)
        contribution = self._plan.contribution(np.stack(codes), self._origin)
        return replace(image, contribution=contribution, features=None)
