"""Protocol of a worker's peers, which answer parts of its streams; `service.work_sharing` implements it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from service.inference.results import Outcome, Want


@dataclass(frozen=True)
class PeerRequest:
    """Images for a peer to answer.

    Attributes:
        model: `Pipeline.key` of the pipeline that has to answer.
        want: how much of the model to run; no contribution.
        images: encoded images.
    """

    model: str
    want: Want
    images: Sequence[bytes]


class Peers(Protocol):
    """The other workers of the service, as one worker sees them."""

    def count_busy(self, change: int) -> None:
        """Count the models of this worker that hold calls: `change` is 1 or -1."""

    async def answer(self, request: PeerRequest, own: int) -> list[Outcome] | None:
        """Return one outcome for each image, or None where no peer is idle or the peer was lost.

        `own` is the number of such requests that this worker answers itself; a peer is given no more.
        """

    def close(self) -> None:
        """Close the connections to the peers."""


class NoPeers:
    """Peers of the only worker: none."""

    def count_busy(self, change: int) -> None:
        pass

    async def answer(self, request: PeerRequest, own: int) -> list[Outcome] | None:  # noqa: ARG002
        return None

    def close(self) -> None:
        pass


NO_PEERS = NoPeers()
