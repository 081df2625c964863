"""Further runs of the model behind an encoded image: the second stage of the maps that need one."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from service.inference.calls import Call, Item
from service.inference.decode_cost import DecodeCost, SizeClass
from service.inference.map_cost import MapCost
from service.inference.results import Embedded, Outcome, Want

DECODED = DecodeCost(SizeClass.SMALL, "", 0, 0)
"""Cost of decoding a further run: none."""


class FurtherRuns(Protocol):
    """Kind of maps that are made of an image's own encoding and of further runs.

    Attributes:
        of_one: further runs of one image.
        cost: cost of a map.
        want: what an image needs first, at least.
        displacements: of the windows that are decoded with an image.
    """

    of_one: int
    cost: MapCost
    want: Want
    displacements: tuple[float, ...]

    async def open(self) -> None:
        """Get the model ready.

        Raises:
            ServiceError: the model has no such maps.
        """

    def items(self, images: Sequence[Item], outcomes: Sequence[Outcome], call: Call) -> list[Item]:
        """Make the runs of the images that were encoded, image by image.

        They have the priority of streams in every call: other images need not wait for them.
        """

    def outcome(self, image: Embedded, found: Sequence[Outcome]) -> Outcome:
        """Put the map of an image together from its runs; one that failed fails the image."""


async def run_further(
    further: FurtherRuns,
    images: Sequence[Item],
    outcomes: list[Outcome],
    new_call: Callable[[int], Call],
    run: Callable[[Call, list[Item]], Awaitable[list[Outcome]]],
) -> list[Outcome]:
    """Put the maps of encoded images together from their further runs.

    Args:
        further: the kind of maps.
        images: items of the images.
        outcomes: their outcomes; those that failed stay as they are.
        new_call: makes a call of so many runs.
        run: runs them.
    """
    encoded = [(place, image) for place, image in enumerate(outcomes) if isinstance(image, Embedded)]
    size = further.of_one
    call = new_call(len(encoded) * size)
    found = await run(call, further.items(images, outcomes, call))
    made = list(outcomes)
    for number, (place, image) in enumerate(encoded):
        made[place] = further.outcome(image, found[number * size : (number + 1) * size])
    return made
