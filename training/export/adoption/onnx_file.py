"""A foreign ONNX file, read and cut to what leads from its images to the tensors that are wanted."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, inliner, shape_inference, utils, version_converter

from training.errors import ExportError
from training.export.onnx_files import opset_of, session_of

# From here on the nodes that are added behind the graph have the form in which they are written.
_LEAST_OPSET = 13
_PREFIX = "adopted."
_SHOWN = 12
_MOST_TEXT = 200


@dataclass(frozen=True)
class CutGraph:
    """What leads from images to some tensors; all names have a prefix, so that others can be added.

    Attributes:
        model: the graph.
        image: its input.
        channels_last: whether that is [B, S, S, 3], and not [B, 3, S, S].
        shapes: of each wanted tensor by its name in the file, for two images.
    """

    model: onnx.ModelProto
    image: str
    channels_last: bool
    shapes: dict[str, tuple[int, ...]]

    @staticmethod
    def name(tensor: str) -> str:
        """Name a tensor of the file in the cut graph."""
        return _PREFIX + tensor


def read_cut(path: Path, tensors: list[str], size: int) -> CutGraph:
    """Read a file and keep what leads to the tensors.

    Args:
        path: of the ONNX file.
        tensors: outputs of the graph, or inner tensors of it.
        size: height and width of the images in pixels.

    Raises:
        ExportError: the file cannot be read, its input are not images of that size in batches of any, there
            is no such tensor, or ONNX Runtime cannot run it.
    """
    model = _read(path)
    image, channels_last = _input(model, size)
    _check_names(model, tensors)
    cut = _cut(model, image, tensors)
    example = np.zeros((2, size, size, 3) if channels_last else (2, 3, size, size), np.float32)
    names = [CutGraph.name(each) for each in tensors]
    try:
        values = session_of(cut).run(names, {CutGraph.name(image): example})
    except Exception as error:
        # ONNX Runtime raises what it likes on operators and shapes that it cannot run.
        raise ExportError(
            f"{path} cannot be run on images of {size} x {size} pixels ({_brief(error)}). "
            "Set --size, or export it again."
        ) from error
    shapes = {name: tuple(np.shape(value)) for name, value in zip(tensors, values, strict=True)}
    return CutGraph(cut, CutGraph.name(image), channels_last, shapes)


def _read(path: Path) -> onnx.ModelProto:
    if not path.is_file():
        raise ExportError(f"There is no file {path}. Name an ONNX file with --onnx.")
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
        model = inliner.inline_local_functions(model)
        if opset_of(model) < _LEAST_OPSET:
            model = version_converter.convert_version(model, _LEAST_OPSET)
    except Exception as error:
        # The library raises what it likes on damaged bytes and on operators that it cannot convert.
        raise ExportError(
            f"{path} cannot be read as ONNX ({_brief(error)}). Export it again, with opset "
            f"{_LEAST_OPSET} or later."
        ) from error
    return model


def _input(model: onnx.ModelProto, size: int) -> tuple[str, bool]:
    """Return the name of the input, and whether its channels come last."""
    weights = {each.name for each in model.graph.initializer}
    inputs = [each for each in model.graph.input if each.name not in weights]
    if len(inputs) != 1:
        raise ExportError(
            f"The graph has the inputs {', '.join(each.name for each in inputs)}. Export it with one: images."
        )
    tensor = inputs[0].type.tensor_type
    sides = [each.dim_value or None for each in tensor.shape.dim]
    shown = [each or "?" for each in sides]
    if tensor.elem_type != TensorProto.FLOAT or len(sides) != 4 or 3 not in (sides[1], sides[3]):
        raise ExportError(
            f"The graph's input {inputs[0].name} is {TensorProto.DataType.Name(tensor.elem_type)} {shown}. "
            "Export it with float32 images [B, 3, S, S] or [B, S, S, 3]."
        )
    channels_last = sides[1] != 3
    if sides[0] is not None:
        raise ExportError(
            f"The graph's input {inputs[0].name} is {shown}: batches of {sides[0]} alone. "
            "Export it with a dynamic first axis."
        )
    if any(side not in (None, size) for side in (sides[1:3] if channels_last else sides[2:])):
        raise ExportError(f"The graph's input {inputs[0].name} is {shown}. Set --size to it, not to {size}.")
    return inputs[0].name, channels_last


def _check_names(model: onnx.ModelProto, names: list[str]) -> None:
    outputs = [each.name for each in model.graph.output]
    known = {*outputs, *(name for node in model.graph.node for name in node.output)}
    for name in names:
        if name not in known:
            raise ExportError(
                f"The graph has no tensor {name!r}. Its outputs are {', '.join(outputs[:_SHOWN])}; inner "
                "tensors can be named too."
            )


def _cut(model: onnx.ModelProto, taken: str, names: list[str]) -> onnx.ModelProto:
    """Keep what leads from the input to the named tensors; an inner tensor needs its type to be an output."""
    inferred = shape_inference.infer_shapes(model)
    typed = {each.name for each in (*inferred.graph.value_info, *inferred.graph.output)}
    for name in names:
        if name not in typed:
            inferred.graph.value_info.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    cut = utils.Extractor(inferred).extract_model([taken], list(dict.fromkeys(names)))
    del cut.graph.value_info[:]
    return compose.add_prefix(cut, _PREFIX)


def _brief(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}…"
