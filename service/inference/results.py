"""Vocabulary of the pipeline: what a caller wants, and the outcome of each image."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Want(IntEnum):
    """How much of the model an image needs; each level but `CONTRIBUTION` includes the ones before it."""

    EMBEDDING = 0
    """The encoder alone: embedding and code."""
    MAP = 1
    """Encoder and critic: also the MI map."""
    PROJECTIONS = 2
    """Encoder and critic: also the critic's projections, from which cross MI maps are made."""
    CONTRIBUTION = 3
    """Encoder alone, then its part behind the features on copies that are covered in part."""
    ALL = 4
    """All of these."""

    @property
    def needs_critic(self) -> bool:
        """Whether the critic is run."""
        return self in (Want.MAP, Want.PROJECTIONS, Want.ALL)

    @property
    def needs_projections(self) -> bool:
        """Whether the critic's projections are kept."""
        return self in (Want.PROJECTIONS, Want.ALL)

    @property
    def needs_contribution(self) -> bool:
        """Whether the part of the encoder behind the features is run on covered copies."""
        return self in (Want.CONTRIBUTION, Want.ALL)


class Priority(IntEnum):
    """Priority of a call; the lower number goes first."""

    INTERACTIVE = 0
    """A request whose client waits for it; refused when the service is full."""
    BULK = 1
    """A chunk of a stream; waits while the service is full."""


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """Format and size of an image.

    Attributes:
        format: name of the encoded format.
        original_width: width in pixels, upright.
        original_height: height in pixels, upright.
    """

    format: str
    original_width: int
    original_height: int


@dataclass(frozen=True, slots=True)
class Projections:
    """Critic's projections of one image; a patch scores <local[:, i, j], global_> against a code.

    Attributes:
        local: float32 [U, M, M], of the patches.
        global_: float32 [U], of the code.
        local_log_normaliser: float32 [M, M], subtracted from a patch's scores to make them nats; zero where
            the critic needs none.
    """

    local: NDArray[np.float32]
    global_: NDArray[np.float32]
    local_log_normaliser: NDArray[np.float32]

    def against(self, other: "Projections") -> NDArray[np.float32]:
        """Compute the pointwise MI of this image's patches and another's code: float32 [M, M] in nats."""
        return self.against_code(other.global_)

    def against_code(self, global_: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute the same for a code that is given as its projection, float32 [U]."""
        scores: NDArray[np.float32] = np.einsum("uij,u->ij", self.local, global_)
        return scores - self.local_log_normaliser


@dataclass(frozen=True, slots=True)
class Embedded:
    """Answer to one image.

    Attributes:
        image: format and size.
        embedding: float32 [D], of length one.
        code: float32 [Y], E(x).
        mi_map: float32 [M, M], pointwise MI in nats; where the want needs the critic.
        standard_error: float32 [M, M], of the map by its bank, in nats; None where the critic has no bank.
        projections: where the want needs them.
        contribution: float32 [M, M], of each patch to the code, where the want needs it.
        features: float32 [C, M, M]; from the batch to the pipeline, where contribution is needed.
    """

    image: ImageInfo
    embedding: NDArray[np.float32]
    code: NDArray[np.float32]
    mi_map: NDArray[np.float32] | None = None
    standard_error: NDArray[np.float32] | None = None
    projections: Projections | None = None
    contribution: NDArray[np.float32] | None = None
    features: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """Failure of one image.

    Attributes:
        code: a code of `contract.images.decode`, or `inference_failed`.
        message: a sentence for the client.
        limit: the limit that was exceeded, where there is one, in the unit of the message.
    """

    code: str
    message: str
    limit: int | None = None


Outcome = Embedded | Failed


@dataclass(slots=True)
class Stages:
    """Times of the stages of one call, in seconds; the call fills them in.

    Attributes:
        decode: time until its last image was decoded, from the start of the call or, for small images, from
            when the thread of their batch took them.
        queue: longest time that one of its images waited for inference.
        inference: sum of the run times of its batches.
    """

    decode: float = 0.0
    queue: float = 0.0
    inference: float = 0.0
