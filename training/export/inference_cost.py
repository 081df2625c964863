"""What encoder graphs cost to run here, measured in turn so that a busy machine hits them alike."""

import statistics
from collections.abc import Mapping
from time import thread_time

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from contract.precision import InferenceCost, Precision, Speed
from training.data.pixel_rows import PixelArray
from training.system.hardware import processor

BATCHES = (1, 32, 128)
_PROVIDER = "CPUExecutionProvider"
_ROUNDS = 5
_SECONDS = 0.05
# What the service asks for.
_OUTPUTS = ["embedding", "code"]


def measure_costs(
    encoders: Mapping[Precision, onnx.ModelProto], pixels: PixelArray
) -> dict[Precision, InferenceCost]:
    """Measure the median images per second of one thread, as the service runs it, for each encoder.

    The time is what the thread spent on the processor: a session of one thread computes in the calling one.

    Args:
        encoders: graphs that take the same images.
        pixels: uint8 [N, H, W, 3], at least one; repeated where a batch wants more.
    """
    sessions = {precision: _session(model) for precision, model in encoders.items()}
    speeds: dict[Precision, list[Speed]] = {precision: [] for precision in encoders}
    for size in BATCHES:
        batch = np.resize(pixels[:size], (size, *pixels.shape[1:]))
        for session in sessions.values():
            session.run(_OUTPUTS, {"image": batch})
        rates: dict[Precision, list[float]] = {precision: [] for precision in encoders}
        for _ in range(_ROUNDS):
            for precision, session in sessions.items():
                rates[precision].append(_rate(session, batch))
        for precision, found in rates.items():
            speeds[precision].append(Speed(batch=size, images_per_second=round(statistics.median(found), 1)))
    return {
        precision: InferenceCost(
            provider=_PROVIDER,
            processor=processor(),
            threads=1,
            runtime=onnxruntime.__version__,
            speeds=tuple(found),
        )
        for precision, found in speeds.items()
    }


def _rate(session: onnxruntime.InferenceSession, batch: NDArray[np.uint8]) -> float:
    """Measure images per second over repeated runs of one batch."""
    images, started = 0, thread_time()
    while True:
        session.run(_OUTPUTS, {"image": batch})
        images += len(batch)
        spent = thread_time() - started
        if spent >= _SECONDS:
            return images / spent


def _session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """Open a session of one thread, with the options of `service.inference.providers`."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=[_PROVIDER])
