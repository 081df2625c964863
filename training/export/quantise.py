"""The encoder graph in whole numbers of 8 bits, by static quantisation (Jacob et al. 2018, section 2).

Convolutions and products take uint8 activations, whose ranges are read off training images, and int8 weights,
scaled for each output channel. In floats stay the way from pixels to numbers and the first convolution, whose
three channels are too few for 8-bit kernels to gain anything (measured: floats are faster there); the outputs
of products, since rounding them buys nothing; and the way from a layer to the embedding, where whitening
would make the rounding of small components a large error.

Weights have 7 bits. Processors without VNNI add two products in 16 bits (`vpmaddubsw`), and two products of
full range do not fit: they would be cut off, silently and on those processors only. Two products of 255 and
64 fit, so the whole numbers are the same on every processor, and so is the loss that a card states.
"""

import contextlib
import io
import logging
import math
from collections.abc import Iterator

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType, quantize_static

from contract.owned_folder import OwnedFolder
from training.data.image_set import sample_rows
from training.data.pixel_rows import PixelArray

CALIBRATION_IMAGES = 512
SCHEME = (
    "static QDQ: convolutions and products of uint8 activations with int8 weights of 7 bits, scaled for each "
    "output channel; pixel normalisation, the first convolution, the way from a layer to the embedding and "
    "the critic in float32"
)
_PRODUCTS = ("Gemm", "MatMul")
_QUANTISED = ("Conv", *_PRODUCTS, "Relu", "Clip", "Add", "MaxPool", "AveragePool", "GlobalAveragePool")
# The few largest activations of half a million images' patches would make every step coarser.
_PERCENTILE = 99.999
# Pixels of the images whose activations are kept at a time: eight of 224 x 224, some 40 MB each.
_PIXELS_AT_ONCE = 8 * 224 * 224


def quantise(encoder: onnx.ModelProto, pixels: PixelArray, seed: int) -> onnx.ModelProto:
    """Build the same graph with 8-bit arithmetic.

    Args:
        encoder: the encoder in float32.
        pixels: training images, uint8 [N, H, W, 3]; some of them give the ranges.
        seed: of the draw of those.
    """
    with OwnedFolder("infomax-quantise-") as folder, _quietly():
        source, target = folder.path / "fp32.onnx", folder.path / "int8.onnx"
        prepared = _prepared(encoder)
        rows = sample_rows(len(pixels), CALIBRATION_IMAGES, seed)
        reader = _CalibrationReader(encoder.graph.input[0].name, pixels[rows])
        onnx.save(prepared, source)
        quantize_static(
            source,
            target,
            reader,
            op_types_to_quantize=list(_QUANTISED),
            nodes_to_exclude=_kept_in_floats(prepared.graph),
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.Percentile,
            extra_options={
                "CalibPercentile": _PERCENTILE,
                # Named after one method, it parts the images for all. It has to divide their number.
                "CalibStridedMinMax": _part(len(reader), reader.pixels_each),
                "OpTypesToExcludeOutputQuantization": list(_PRODUCTS),
            },
        )
        model = onnx.load(target)
    model.producer_name = encoder.producer_name
    model.producer_version = ""
    del model.metadata_props[:]
    onnx.checker.check_model(model)
    return model


def _prepared(encoder: onnx.ModelProto) -> onnx.ModelProto:
    """Copy the graph into the form that the quantiser does most with.

    Nodes have names, by which it knows those that it is to leave alone. Outputs are copies of inner values: a
    rectified value that is itself an output would be rounded twice, before and after it is rectified. Half of
    the first rounding's steps would be spent on numbers below zero.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(encoder)
    inner = {value.name: f"{value.name}_inner" for value in copy.graph.output}
    for number, node in enumerate(copy.graph.node):
        node.name = node.name or f"{node.op_type}_{number}"
        for names in (node.input, node.output):
            names[:] = [inner.get(name, name) for name in names]
    copy.graph.node.extend(
        onnx.helper.make_node("Identity", [source], [output], f"{output}_output")
        for output, source in inner.items()
    )
    return copy


def _kept_in_floats(graph: onnx.GraphProto) -> list[str]:
    """Name the first convolution, and of nodes that lead to the embedding alone."""
    needed, on_the_way = {"code", "features"}, set()
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            on_the_way.add(node.name)
    first = next((node.name for node in graph.node if node.op_type == "Conv"), None)
    return [node.name for node in graph.node if node.name == first or node.name not in on_the_way]


def _part(images: int, pixels_each: int) -> int:
    """Choose the largest number of images that divides them into equal parts and keeps memory bounded."""
    most = max(1, min(images, _PIXELS_AT_ONCE // pixels_each))
    return next(size for size in range(most, 0, -1) if images % size == 0)


class _CalibrationReader(CalibrationDataReader):  # type: ignore[misc]
    """Training images one by one: the quantiser's histograms cannot do with a last batch that is smaller."""

    def __init__(self, name: str, pixels: NDArray[np.uint8]) -> None:
        self._name, self._pixels = name, pixels
        self.set_range(0, len(pixels))

    def __len__(self) -> int:
        return len(self._pixels)

    @property
    def pixels_each(self) -> int:
        """Pixels of one image."""
        return math.prod(self._pixels.shape[1:3])

    def set_range(self, start_index: int, end_index: int) -> None:
        """Go on with a part of the images."""
        part = self._pixels[start_index:end_index]
        self._images: Iterator[dict[str, NDArray[np.uint8]]] = ({self._name: image[None]} for image in part)

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        """Return the next image of the part; None after its last."""
        return next(self._images, None)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Silence the quantiser's prints, and its advice to prepare graphs that are prepared already."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)
