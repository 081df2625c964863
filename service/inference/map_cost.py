"""Cost of maps that need further runs of the model: what admission counts, and how many fit."""

from dataclasses import dataclass

from service.errors import ServiceError
from service.inference.admission import BULK_SHARE
from service.inference.resources import Resources


@dataclass(frozen=True, slots=True)
class MapCost:
    """Cost of one map.

    Attributes:
        name: of such maps.
        images: that a map costs as much as: the image, and its further runs.
        bytes: that the further runs hold before they are encoded.
    """

    name: str
    images: int
    bytes: int = 0

    def needed(self, images: Resources) -> Resources:
        """Add the further runs to the resources of their images."""
        return images._replace(
            items=images.items * self.images, bytes=images.bytes + images.items * self.bytes
        )

    def check(self, images: int, limit: Resources) -> None:
        """Refuse more maps than could ever be admitted.

        Raises:
            ServiceError: 413 `too_many_items`.
        """
        most = limit.items // self.images
        if images > most:
            raise ServiceError(
                413,
                "too_many_items",
                f"The request asks for {images} {self.name}, each of which costs as much as "
                f"{self.images} images; the service takes {most} at once. Send fewer in one request, or "
                "raise INFOMAX_QUEUE_ITEMS.",
                limit=most,
                setting="INFOMAX_QUEUE_ITEMS",
            )

    def part(self, limit: Resources) -> int:
        """Count the images of a stream whose further runs fit into its share of the room, at least one."""
        most = int(limit.items * BULK_SHARE) // self.images
        if self.bytes:
            most = min(most, int(limit.bytes * BULK_SHARE) // self.bytes)
        return max(1, most)
