"""Protocol of the other workers, which answer parts of a stream; `service.work_sharing` implements it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from service.inference.results import Outcome, Want


@dataclass(frozen=True)
class PeerRequest:
    """Images for another worker to answer.

    Attributes:
        model: key of the pipeline that has to answer (`Pipeline.key`).
        want: `Want.EMBEDDING` or `Want.MAP`.
        images: encoded.
    """

    model: str
    want: Want
    images: Sequence[bytes]


class Peers(Protocol):
    """The other workers of the service, as one worker sees them."""

    def work(self, change: int) -> None:
        """Count the models of this worker that have work of their own: `change` is 1 or -1."""

    async def answer(self, request: PeerRequest, own: int) -> list[Outcome] | None:
        """Return one outcome for each image, or None where no peer is idle or the peer was lost.

        `own` is the number of such requests that this worker answers itself; a peer is given no more.
        """

    def close(self) -> None:
        """Ask no peer any more."""


class NoPeers:
    """Peers of the only worker: none."""

    def work(self, change: int) -> None:
        pass

    async def answer(self, request: PeerRequest, own: int) -> list[Outcome] | None:  # noqa: ARG002
        return None

    def close(self) -> None:
        pass


NO_PEERS = NoPeers()
