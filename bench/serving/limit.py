"""Limit of the machine: the rate at which its cores decode and infer, and do nothing else.

There is one process for each core, with a session on one thread. All decode at the same time in a plain loop,
then all infer full batches at the same time. With these rates, r_decode and r_infer, no server on these cores
can answer more than 1 / (1 / r_decode + 1 / r_infer) images per second.
"""

import multiprocessing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from statistics import median
from time import perf_counter

import numpy as np

from bench.serving import transfer
from bench.serving.model import BenchModel
from contract.images import decode

_BATCH = 64
_LATENCY_RUNS = 200
_START_SECONDS = 120.0


@dataclass(frozen=True)
class Limit:
    """Rates of all cores together, images per second.

    Attributes:
        decode: rate of decoding, by image set.
        infer: rate of inference in full batches.
        one_image_ms: median time to decode and infer one small image on one idle core.
        transfer: core seconds to pass an image through a connection, by image set
            (`bench.serving.transfer`); not part of the limit.
    """

    decode: dict[str, float]
    infer: float
    one_image_ms: float
    transfer: dict[str, float]

    def rate(self, images: str) -> float:
        """Compute the most images of a set per second."""
        return 1 / (1 / self.decode[images] + 1 / self.infer)


@dataclass(frozen=True)
class _Core:
    decode: dict[str, float]
    infer: float


def measure(model: BenchModel, sets: dict[str, tuple[bytes, ...]], cores: int, seconds: float) -> Limit:
    """Measure decoding of every set and inference on all cores, then one image at a time on one core.

    Raises:
        RuntimeError: a process of the measurement ended before it had answered.
    """
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(cores)
    processes, answers = [], []
    for _ in range(cores):
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(
            target=_measure_core, args=(model, sets, seconds, barrier, theirs), daemon=True
        )
        process.start()
        # Only the process itself holds this end now, so that its death ends the reading of the other.
        theirs.close()
        processes.append(process)
        answers.append(ours)
    rates = [_answer(each) for each in answers]
    for process in processes:
        process.join()
    return Limit(
        {name: sum(core.decode[name] for core in rates) for name in sets},
        sum(core.infer for core in rates),
        _one_image(model, next(iter(sets.values()))),
        {name: transfer.measure(files, seconds) for name, files in sets.items()},
    )


def _answer(pipe: Connection) -> _Core:
    try:
        answer = pipe.recv()
    except EOFError as error:
        raise RuntimeError("A process that measures the limit died. Its traceback is on stderr.") from error
    assert isinstance(answer, _Core)
    return answer


def _measure_core(
    model: BenchModel,
    sets: dict[str, tuple[bytes, ...]],
    seconds: float,
    barrier: Barrier,
    answer: Connection,
) -> None:
    session = model.session()
    images = np.stack([decode(file, model.rule).pixels for file in next(iter(sets.values()))])
    batch = np.resize(images, (_BATCH, *images.shape[1:]))

    def infer(_: int) -> int:
        session.run(["embedding"], {"image": batch})
        return _BATCH

    decode_rates = {}
    for name, files in sets.items():
        barrier.wait(_START_SECONDS)
        decode_rates[name] = _rate(_decoder(model, files), seconds)
    infer(0)
    barrier.wait(_START_SECONDS)
    answer.send(_Core(decode_rates, _rate(infer, seconds)))


def _decoder(model: BenchModel, files: Sequence[bytes]) -> Callable[[int], int]:
    def decode_one(step: int) -> int:
        decode(files[step % len(files)], model.rule)
        return 1

    return decode_one


def _rate(run: Callable[[int], int], seconds: float) -> float:
    """Measure images per second; `run` takes the number of a step and returns that of its images."""
    done, step, started = 0, 0, perf_counter()
    while (elapsed := perf_counter() - started) < seconds:
        done += run(step)
        step += 1
    return done / elapsed


def _one_image(model: BenchModel, files: Sequence[bytes]) -> float:
    session = model.session()
    times = []
    for step in range(_LATENCY_RUNS):
        started = perf_counter()
        pixels = decode(files[step % len(files)], model.rule).pixels
        session.run(["embedding"], {"image": pixels[None]})
        times.append(perf_counter() - started)
    return 1000 * median(times)
