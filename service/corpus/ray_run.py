"""Images embedded by the actors of a Ray cluster, through Ray Data."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray.data import ActorPoolStrategy, DataContext, Dataset
from ray.exceptions import RayError

from contract.errors import InfomaxError
from service.corpus.assembly import Output
from service.corpus.parts import behind
from service.corpus.ray_encoder import RayEncoder, packed
from service.corpus.recorder import Recorder
from service.corpus.rows import rows_of
from service.corpus.run import CorpusEncoder, Finished, StoppedError, run
from service.corpus.sources import Sources
from service.inference.pipeline import Pipeline
from service.settings import Settings
from service.system.cancellation import interrupted_by_signals

# Images of a part of files. Small parts spread a small corpus over all actors; large ones keep the tasks of a
# large one few.
_FEWEST, _MOST, _PARTS = 32, 1024, 256
_CONNECT_SECONDS = 10.0
_HINT = "Set RAY_ADDRESS to one that runs, or unset it to use this machine alone."


class RayRunError(InfomaxError):
    """The cluster cannot embed."""


def run_by_ray(
    sources: Sources, output: Output, settings: Settings, actors: int | None, *, restart: bool = False
) -> Finished:
    """Embed by the Ray cluster that RAY_ADDRESS names or that runs here, else by one that is started here.

    Images, models and code must lie at the same paths on all machines.

    Args:
        sources: the corpus.
        output: where this process writes the rows.
        settings: of one actor.
        actors: their number; None for as many as the cluster has cores, or GPUs, for.
        restart: as `run`.

    Raises:
        InfomaxError: as `run`.
        StoppedError: the cluster has failed.
        RayRunError: an actor cannot embed.
    """
    with _cluster(), _own_errors():
        describe = ray.remote(_describe).options(**_needs(settings))
        model, dimensions, key = ray.get(describe.remote(settings))

        def embed(_images: object, recorder: Recorder) -> bool:
            dataset = _dataset(sources, recorder, settings, key, actors)
            with interrupted_by_signals():
                try:
                    for table in dataset.iter_batches(batch_size=None, batch_format="pyarrow"):
                        for row in rows_of(table):
                            recorder.add(row)
                        recorder.commit()
                except KeyboardInterrupt:
                    return True
            return False

        encoder = CorpusEncoder(model, dimensions, key, embed)
        return run(sources, output, encoder, settings, restart=restart)


def _dataset(
    sources: Sources, recorder: Recorder, settings: Settings, key: str, actors: int | None
) -> Dataset:
    """Describe the work: a block for each part that is left, embedded by actors, in order."""
    size = _MOST if recorder.total is None else min(max(recorder.total // _PARTS, _FEWEST), _MOST)
    parts = [packed(part) for part in behind(sources.parts(size), recorder.stored)]
    context = DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    return ray.data.from_arrow(parts).map_batches(
        RayEncoder,
        batch_size=None,
        batch_format="pyarrow",
        compute=ActorPoolStrategy(size=min(actors or _room(settings), len(parts))),
        fn_constructor_args=(settings, key),
        **_needs(settings),
    )


def _needs(settings: Settings) -> dict[str, float]:
    """Resources of an actor: a core for each thread of a batch, and the GPU that a device demands."""
    on_gpu = settings.device in ("cuda", "tensorrt")
    return {"num_cpus": settings.threads_per_run, "num_gpus": float(on_gpu)}


def _room(settings: Settings) -> int:
    """Count the actors that the cluster has room for now."""
    found = ray.cluster_resources()
    needs = {"CPU": _needs(settings)["num_cpus"], "GPU": _needs(settings)["num_gpus"]}
    return max(1, min(int(found.get(name, 0) // need) for name, need in needs.items() if need))


def _describe(settings: Settings) -> tuple[str, int, str]:
    """Open the model as the actors do: its id, D, and the key of its pipeline."""
    pipeline = Pipeline(settings)
    return pipeline.card.id, pipeline.card.shapes.embedding, pipeline.key


@contextmanager
def _cluster() -> Iterator[None]:
    """Connect to the cluster, unless that is done already."""
    # Ray's own files of logs hold the rest.
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if ray.is_initialized():
        yield
        return
    _check_address(os.environ.get("RAY_ADDRESS", ""))
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    except ConnectionError as error:
        raise StoppedError(f"No Ray cluster answers: {error}. {_HINT}") from error
    except (OSError, RuntimeError) as error:
        reason = str(error).strip().split("\n", 1)[0].rstrip(".")
        raise RayRunError(
            f"No Ray cluster can be started here: {reason}. Look at the space, rights and length of TMPDIR."
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    """Find out in seconds whether a cluster listens there: Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
    except OSError as error:
        raise StoppedError(
            f"No Ray cluster answers at RAY_ADDRESS={address}: {error.strerror or error}. {_HINT}"
        ) from error


@contextmanager
def _own_errors() -> Iterator[None]:
    try:
        yield
    except RayError as error:
        cause: BaseException | None = error
        # Errors of actors come wrapped, some of them in a class that is both.
        while isinstance(cause, RayError):
            cause = getattr(cause, "cause", None) or cause.__cause__
        if isinstance(cause, InfomaxError):
            raise RayRunError(str(cause)) from error
        if cause is not None:
            raise
        raise StoppedError(
            f"The Ray cluster has failed: {error} Run the same command again when it works."
        ) from error
