"""Maps of 2 or 4 times as many rows and columns, from windows of the image beside the model's input.

Patches of all windows interleave to the finer grid. All are scored against the code of the image as it is, by
the same critic and bank. Values mean what those of the ordinary map mean.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from contract.card import ModelCard
from contract.windows import displacements
from service.inference.calls import Call, Item
from service.inference.further_runs import DECODED
from service.inference.map_cost import MapCost
from service.inference.results import Embedded, Failed, Outcome, Priority, Projections, Want


class FineMaps:
    """Maps of one model at one resolution.

    Attributes:
        of_one: windows of one image.
        cost: cost of a map: the image, which gives the code, and its windows.
        want: what an image needs, and each of its windows.
        displacements: of the windows along each side.
    """

    want = Want.PROJECTIONS

    def __init__(self, card: ModelCard, resolution: int) -> None:
        rule = card.preprocessing
        self.of_one = resolution**2
        of_window = rule.height * rule.width * 3
        self.cost = MapCost(f"maps of resolution {resolution}", 1 + self.of_one, self.of_one * of_window)
        self.displacements = displacements(card.patch_grid.stride, resolution)
        self._resolution = resolution

    async def open(self) -> None:
        """Do nothing: every model has them."""

    def items(self, images: Sequence[Item], outcomes: Sequence[Outcome], call: Call) -> list[Item]:
        """Make items of the windows that were decoded with the images."""
        made: list[Item] = []
        for image, outcome in zip(images, outcomes, strict=True):
            if isinstance(outcome, Failed):
                continue
            assert image.windows is not None  # noqa: S101 (they were decoded with it)
            for pixels in image.windows.reshape(-1, *image.pixels.shape):
                made.append(
                    Item(call, len(made), self.want, Priority.BULK, b"", DECODED, pixels, info=image.info)
                )
        return made

    def outcome(self, image: Embedded, found: Sequence[Outcome]) -> Outcome:
        """Interleave the patches of the windows, and score them against the image's own code."""
        windows: list[Projections] = []
        errors: list[NDArray[np.float32]] = []
        for window in found:
            if isinstance(window, Failed):
                return window
            assert window.projections is not None  # noqa: S101 (they were asked for)
            windows.append(window.projections)
            if window.standard_error is not None:
                errors.append(window.standard_error)
        assert image.projections is not None  # noqa: S101 (they were asked for)
        projections = Projections(
            self._interleaved([one.local for one in windows]),
            image.projections.global_,
            self._interleaved([one.local_log_normaliser for one in windows]),
        )
        return replace(
            image,
            mi_map=projections.against(projections),
            standard_error=self._interleaved(errors) if errors else None,
            projections=projections,
        )

    def _interleaved(self, parts: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Interleave arrays [..., M, M] of all windows to one [..., R M, R M]."""
        size = self._resolution
        stacked = np.stack(parts).reshape(size, size, *parts[0].shape)
        *above, rows, columns = parts[0].shape
        ordered = np.moveaxis(stacked, (0, 1), (-3, -1))
        joined: NDArray[np.float32] = ordered.reshape(*above, rows * size, columns * size)
        return joined
