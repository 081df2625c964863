"""Encoded images in, embeddings and MI maps out: the one path that every route takes."""

from collections.abc import Sequence
from dataclasses import dataclass

from contract.card import ModelCard
from service.execution import ExecutionReport
from service.results import Lane, Outcome, Stages, Want
from service.settings import Settings


@dataclass(frozen=True)
class Readiness:
    """Whether requests are answered, and if not, why in one sentence."""

    ready: bool
    reason: str = ""


class Pipeline:
    """One process's way from bytes to answers: admission, decoding, batches, ONNX Runtime.

    All public methods belong to one event loop.
    """

    card: ModelCard
    report: ExecutionReport

    def __init__(self, settings: Settings) -> None:
        """Open the model.

        Raises:
            ArtefactError: the model folder is missing or breaks a rule of the contract.
            SettingsError: the device that was asked for does not work.
        """
        raise NotImplementedError

    @property
    def readiness(self) -> Readiness:
        """Ready means: warmed up, self-tested, every inference thread alive, not stopping."""
        raise NotImplementedError

    async def start(self) -> None:
        """Start the threads, warm every batch size, test the model against its card.

        Raises:
            ArtefactError: the model's outputs are not those of its card.
        """
        raise NotImplementedError

    async def stop(self, drain_seconds: float) -> None:
        """Admit nothing more, let accepted work finish for at most `drain_seconds`, stop the threads."""
        raise NotImplementedError

    async def embed(
        self,
        images: Sequence[bytes],
        want: Want,
        lane: Lane = Lane.INTERACTIVE,
        stages: Stages | None = None,
    ) -> list[Outcome]:
        """Answer every image, in the order given; a failing image is a `Failed`, the others are not touched.

        Cancelling the call takes its images out of the queue.

        Args:
            images: encoded images.
            want: how much of the model to run.
            lane: interactive calls are refused when the service is full, bulk calls wait.
            stages: filled with where the time went.

        Raises:
            ServiceError: 503 `overloaded` (with `retry_after`), `not_ready` or `shutting_down`;
                413 `too_many_items` for a call that could never be admitted.
        """
        raise NotImplementedError
