"""What the pipeline is asked for and what it answers, one image at a time."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Want(IntEnum):
    """How much of the model an image needs; each level includes the ones before it."""

    EMBEDDING = 0
    """The encoder alone: embedding and code."""
    MAP = 1
    """Encoder and critic: also the MI map."""
    PROJECTIONS = 2
    """Encoder and critic: also the critic's projections, from which cross MI maps are made."""


class Priority(IntEnum):
    """Who is waiting; lower goes first."""

    INTERACTIVE = 0
    """One caller with one request; refused when the service is full."""
    BULK = 1
    """A stream; waits while the service is full."""


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What is known of an image besides its pixels.

    Attributes:
        format: name of the encoded format.
        original_width, original_height: size in pixels, upright.
    """

    format: str
    original_width: int
    original_height: int


@dataclass(frozen=True, slots=True)
class Projections:
    """One image as the critic sees it: the score of patch (i, j) against a code is <local[:, i, j], global>.

    Attributes:
        local: float32 [U, M, M].
        global_: float32 [U].
        local_log_normaliser: float32 [M, M], what is taken from a patch's scores to make them nats;
            zero where the critic needs none.
    """

    local: NDArray[np.float32]
    global_: NDArray[np.float32]
    local_log_normaliser: NDArray[np.float32]

    def against(self, other: "Projections") -> NDArray[np.float32]:
        """Pointwise MI of this image's patches and the other image's code, in nats: float32 [M, M]."""
        return self.against_code(other.global_)

    def against_code(self, global_: NDArray[np.float32]) -> NDArray[np.float32]:
        """The same, for a code of which only the critic's projection is at hand: float32 [U]."""
        scores: NDArray[np.float32] = np.einsum("uij,u->ij", self.local, global_)
        return scores - self.local_log_normaliser


@dataclass(frozen=True, slots=True)
class Embedded:
    """One image's answer.

    Attributes:
        image: format and size.
        embedding: float32 [D], of length one.
        code: float32 [Y], E(x).
        mi_map: float32 [M, M], pointwise MI in nats; from `Want.MAP` on.
        projections: from `Want.PROJECTIONS` on.
    """

    image: ImageInfo
    embedding: NDArray[np.float32]
    code: NDArray[np.float32]
    mi_map: NDArray[np.float32] | None = None
    projections: Projections | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """One image's failure.

    Attributes:
        code: a code of `contract.images.decode`, or `inference_failed`.
        message: a sentence for the one who sent the image.
        limit: the limit that was exceeded, where there is one, in the unit of the message.
    """

    code: str
    message: str
    limit: int | None = None


Outcome = Embedded | Failed


@dataclass(slots=True)
class Stages:
    """Where one call's time went, in seconds of the wall; a call fills in the one it is given.

    Attributes:
        decode: until its last image was decoded, from the call's start on or, for small images, from when
            the thread of their batch took them.
        queue: the longest that one of its images waited for inference.
        inference: the time of the batches that held its images, one after the other.
    """

    decode: float = 0.0
    queue: float = 0.0
    inference: float = 0.0
