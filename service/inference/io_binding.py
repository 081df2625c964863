"""I/O binding: an ONNX Runtime session whose inputs and outputs lie in device buffers that are made once.

Without it, every run allocates its inputs and outputs on the device. CUDA graphs need it, because a recorded
graph holds the addresses of its buffers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

Array = NDArray[np.uint8] | NDArray[np.float32]

_TYPES = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32}
# Value of gpu_graph_id for a run that is neither recorded nor replayed.
_NO_GRAPH = -1


@dataclass(frozen=True)
class _DeviceBuffers:
    """Buffers for one batch size and one choice of outputs."""

    binding: Any
    inputs: Mapping[str, Any]
    outputs: Sequence[Any]
    options: Any


class BoundSession:
    """Session with the interface of `InferenceSession`, for one run at a time. Its outputs are copies.

    Batches of a power of two have buffers; the others are rare and run without.
    """

    def __init__(self, session: ort.InferenceSession, device: str, device_id: int, *, graphs: bool) -> None:
        """Make no buffer yet.

        Args:
            session: a session whose inputs and outputs have a fixed size but for the first dimension.
            device: `cuda`, or `cpu`, which gains nothing and serves tests.
            device_id: number of the device.
            graphs: whether the run of each buffer is recorded as a CUDA graph and replayed; the options of
                the session have to allow it.
        """
        self.session = session
        self._device = device
        self._device_id = device_id
        self._graphs = graphs
        self._bound: dict[tuple[int, tuple[str, ...]], _DeviceBuffers] = {}
        # A buffer holds one batch, and ONNX Runtime allows one run at a time where it records.
        self._lock = Lock()

    def run(self, names: Sequence[str], feeds: Mapping[str, Array]) -> list[NDArray[np.float32]]:
        """Run one batch and return the outputs `names`; the arrays of `feeds` have the batch size first."""
        (size,) = {len(array) for array in feeds.values()}
        with self._lock:
            if size & (size - 1):
                return list(self.session.run(list(names), dict(feeds), self._run_options(_NO_GRAPH)))
            bound = self._bound_for(size, tuple(names))
            for name, array in feeds.items():
                bound.inputs[name].update_inplace(np.ascontiguousarray(array))
            self.session.run_with_iobinding(bound.binding, bound.options)
            # On the CPU `numpy` is a view of the buffer, which the next run writes to.
            return [np.array(output.numpy()) for output in bound.outputs]

    def get_inputs(self) -> list[ort.NodeArg]:
        return list(self.session.get_inputs())

    def get_outputs(self) -> list[ort.NodeArg]:
        return list(self.session.get_outputs())

    def _bound_for(self, size: int, names: tuple[str, ...]) -> _DeviceBuffers:
        key = (size, names)
        if key not in self._bound:
            self._bound[key] = self._bind(size, names, number=len(self._bound))
        return self._bound[key]

    def _bind(self, size: int, names: tuple[str, ...], number: int) -> _DeviceBuffers:
        binding = self.session.io_binding()
        inputs = {one.name: self._buffer(one, size) for one in self.session.get_inputs()}
        for name, value in inputs.items():
            binding.bind_ortvalue_input(name, value)
        nodes = {one.name: one for one in self.session.get_outputs()}
        outputs = [self._buffer(nodes[name], size) for name in names]
        for name, value in zip(names, outputs, strict=True):
            binding.bind_ortvalue_output(name, value)
        return _DeviceBuffers(binding, inputs, outputs, self._run_options(number))

    def _buffer(self, node: ort.NodeArg, size: int) -> Any:
        shape = [size, *node.shape[1:]]
        return ort.OrtValue.ortvalue_from_shape_and_type(
            shape, _TYPES[node.type], self._device, self._device_id
        )

    def _run_options(self, graph: int) -> Any:
        options = ort.RunOptions()
        if self._graphs:
            options.add_run_config_entry("gpu_graph_id", str(graph))
        return options
