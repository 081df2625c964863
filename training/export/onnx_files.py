"""PyTorch modules to ONNX files that are proved to compute the same."""

import logging
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from contract.artefact import weights_sha256
from contract.card import METADATA_KEY, ModelCard, WeightsDigest
from training.errors import ExportError

OPSET = 20
LARGEST_DIFFERENCE = 1e-4

# It reports at every export that torchvision, which nothing here uses, is not installed.
logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)


def convert(
    module: nn.Module, example: tuple[Tensor, ...], inputs: tuple[str, ...], outputs: tuple[str, ...]
) -> onnx.ModelProto:
    """Export `module` with a dynamic first axis on every input."""
    batch = torch.export.Dim("batch", min=1)
    with warnings.catch_warnings():
        # The exporter warns about its own deprecations and about two inputs sharing the batch axis.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module.eval(),
            example,
            dynamo=True,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=tuple({0: batch} for _ in example),
            verbose=False,
        )
    if program is None:
        raise ExportError("PyTorch's exporter gave no program; export needs torch with its dynamo exporter.")
    model = program.model_proto
    # Before the digest is taken, which covers it.
    model.producer_name = "infomax"
    # Source lines of the machine that exported are neither useful nor reproducible.
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        del value.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.metadata_props[:]
    onnx.checker.check_model(model)
    return model


def check_equal(model: onnx.ModelProto, module: nn.Module, examples: tuple[Tensor, ...]) -> None:
    """Compare ONNX Runtime with PyTorch on the examples, whole and as a batch of one.

    Args:
        model, module: what is compared.
        examples: inputs of both.

    Raises:
        ExportError: an output differs by more than 1e-4 of its largest number, or of 1 where that is smaller;
            nothing should be written then. Rounding grows with the numbers, which have any size in a trunk
            that was trained elsewhere.
    """
    session = session_of(model)
    names = [value.name for value in session.get_inputs()]
    for count in (1, len(examples[0])):
        batch = tuple(example[:count] for example in examples)
        with torch.no_grad():
            expected = module.eval()(*batch)
        actual = session.run(None, {name: value.numpy() for name, value in zip(names, batch, strict=True)})
        for output, want, have in zip(session.get_outputs(), expected, actual, strict=True):
            scale = max(1.0, float(want.abs().max()))
            difference = float(np.abs(want.numpy() - have).max()) / scale
            # Written so that NaN is refused too.
            if not difference <= LARGEST_DIFFERENCE:
                raise ExportError(
                    f"The output {output.name!r} of the ONNX graph differs from PyTorch's "
                    f"by {difference:.2g} of its largest number, more than {LARGEST_DIFFERENCE:g}; "
                    "nothing was written."
                )


def session_of(model: onnx.ModelProto, *, optimised: bool = True) -> onnxruntime.InferenceSession:
    """Open a session over a graph on this machine's processor.

    Not optimised, a graph of 8 bits is computed as it is written: in floats that are rounded between layers.
    """
    options = onnxruntime.SessionOptions()
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def opset_of(model: onnx.ModelProto) -> int:
    """Return the version of ONNX's own operators that a graph is written in."""
    return next(int(each.version) for each in model.opset_import if each.domain in ("", "ai.onnx"))


def digest(model: onnx.ModelProto, file: str) -> WeightsDigest:
    """Return the card's entry for one graph."""
    return WeightsDigest(file=file, sha256=weights_sha256(model))


def write(model: onnx.ModelProto, card: ModelCard, path: Path) -> None:
    """Write a graph with its card inside."""
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {METADATA_KEY: card.as_exported.to_json()})
    onnx.save(model, path)
