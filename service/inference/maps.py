"""Maps of an image's patches, of every kind."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contract.card import ModelCard
from contract.map_kinds import MapKind
from service.inference.results import Embedded, Projections, Want

WANTS = {
    MapKind.INFORMATION: Want.MAP,
    MapKind.CONTRIBUTION: Want.CONTRIBUTION,
    MapKind.CONTRAST: Want.PROJECTIONS,
}
"""What an image needs for each kind of its own map."""


@dataclass(frozen=True, slots=True)
class PatchMap:
    """Map of one image.

    Attributes:
        kind: the question that it answers.
        values: float32 [M, M], in the unit of the kind.
        standard_error: float32 [M, M], of the values by the bank of codes; None where there is no bank.
        ceiling: log K of the bank, in nats. A larger value is known to be large, and no more.
    """

    kind: MapKind
    values: NDArray[np.float32]
    standard_error: NDArray[np.float32] | None = None
    ceiling: float | None = None

    @property
    def finite(self) -> bool:
        """Whether all values are finite."""
        return bool(np.isfinite(self.values).all())

    @property
    def above_ceiling(self) -> NDArray[np.int64]:
        """Row and column of each patch whose value is above the ceiling: int64 [P, 2]."""
        if self.ceiling is None:
            return np.empty((0, 2), np.int64)
        # In rows of memory, as JSON is written from it.
        return np.ascontiguousarray(np.argwhere(self.values > self.ceiling))


def information(card: ModelCard, image: Embedded, code: NDArray[np.float32] | None = None) -> PatchMap:
    """Map the pointwise MI of an image's patches and its own code, or another code's projection [U]."""
    if code is None:
        assert image.mi_map is not None  # noqa: S101 (it was asked for)
        values = image.mi_map
    else:
        values = _projections(image).against_code(code)
    ceiling = card.calibration.ceiling_nats
    return PatchMap(MapKind.INFORMATION, values, image.standard_error, ceiling)


def contribution(image: Embedded) -> PatchMap:
    """Map what each patch contributes to the code."""
    assert image.contribution is not None  # noqa: S101 (it was asked for)
    return PatchMap(MapKind.CONTRIBUTION, image.contribution)


def contrast(image: Embedded, others: NDArray[np.float32]) -> PatchMap:
    """Map how much more the patches speak for an image's own code than for others, projected [J, U].

    T(C_i, E) - log mean_j exp T(C_i, E_j): the pointwise MI where images are drawn from the others. With one
    other it is the difference of two maps of information, whose normalisers and bank cancel.
    """
    own = _projections(image)
    scores = np.einsum("uij,nu->nij", own.local, np.concatenate([own.global_[None], others]))
    peak = scores[1:].max(axis=0)
    mean = np.log(np.exp(scores[1:] - peak).mean(axis=0)) + peak
    return PatchMap(MapKind.CONTRAST, scores[0] - mean)


def _projections(image: Embedded) -> Projections:
    assert image.projections is not None  # noqa: S101 (they were asked for)
    return image.projections
