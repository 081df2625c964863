"""A real model that can be told to fail, so that what happens around a failure can be seen."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Event

import numpy as np
from numpy.typing import NDArray

from contract.artefact import open_artefact
from service.inference.device_choice import DeviceChoice
from service.inference.model import Criticised, Encoded, Model
from service.inference.peers import NO_PEERS, Peers
from service.inference.pipeline import Pipeline
from service.settings import Settings

POISON = 255
"""The value of `tests.pictures.plain` at which a poisoned model fails."""


class FragileModel(Model):
    """The tiny model with switches.

    Attributes:
        fatal: raised once.
        poison: raised by every batch that holds a plain picture of the value `POISON`.
        broken: raised by every batch.
        gate: batches wait for it; open at first.
        entered: set by the first batch that comes to a closed gate.
        seen: value of the first pixel of every row, batch by batch, since the list was last emptied.
        critic_runs: calls of the critic.
    """

    def __init__(self, models: Path) -> None:
        artefact = open_artefact(models / "tiny" / "1")
        super().__init__(artefact, DeviceChoice("cpu", on_gpu=False), threads_per_run=1)
        self.fatal: BaseException | None = None
        self.poison: BaseException | None = None
        self.broken: BaseException | None = None
        self.gate = Event()
        self.gate.set()
        self.entered = Event()
        self.seen: list[list[int]] = []
        self.critic_runs = 0

    def encode(self, images: NDArray[np.uint8], *, features: bool) -> Encoded:
        self.seen.append(images[:, 0, 0, 0].tolist())
        if self.fatal is not None:
            fatal, self.fatal = self.fatal, None
            raise fatal
        if not self.gate.is_set():
            self.entered.set()
            assert self.gate.wait(timeout=30), "the test never opened the gate"
        if self.broken is not None:
            raise self.broken
        if self.poison is not None and (images == POISON).all(axis=(1, 2, 3)).any():
            raise self.poison
        return super().encode(images, features=features)

    def criticise(
        self, features: NDArray[np.float32], code: NDArray[np.float32], *, projections: bool
    ) -> Criticised:
        self.critic_runs += 1
        return super().criticise(features, code, projections=projections)


def settings(models: Path, /, **changes: object) -> Settings:
    """Settings of a small service over the tiny model."""
    return Settings.model_validate(
        {
            "models_dir": models,
            "model": "tiny",
            "device": "cpu",
            "decode_threads": 2,
            "max_batch": 16,
            **changes,
        }
    )


@asynccontextmanager
async def running(
    models: Path, model: Model | None = None, peers: Peers = NO_PEERS, **changes: object
) -> AsyncIterator[Pipeline]:
    """A started pipeline, stopped at the end."""
    pipeline = Pipeline(settings(models, **changes), model, peers)
    await pipeline.start()
    if isinstance(model, FragileModel):
        model.seen.clear()
        model.critic_runs = 0
    try:
        yield pipeline
    finally:
        if isinstance(model, FragileModel):
            model.gate.set()
        await pipeline.stop(10)
