"""The way back from an exported model: its graph holds the encoder's weights by their names.

Export folds each normalisation into the layer before it. That layer's weights are taken as they are, and the
normalisation behind it is set to what it would undo on the run's own images. So the encoder computes what the
model does, and goes on training as one whose statistics are those of its images.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from contract.card import CARD_FILE, ENCODER_FILE
from training.data.image_set import sample_rows
from training.data.pixel_rows import PixelArray
from training.data.views import to_unit
from training.errors import TrainingError
from training.loop.initial_weights import Start, initialise
from training.model.encoders import BackboneEncoder, Encoder

# Of encoders that were trained here, of adopted modules, and of adopted ONNX files.
_PREFIXES = ("encoder.", "taps.module.", "adopted.")
_FOLDED = ".weight_bias"
_IMAGES = 256


def is_exported(path: Path) -> bool:
    """Tell whether a path is the folder of an exported model."""
    return (path / CARD_FILE).is_file()


def initialise_from_exported(
    encoder: Encoder, tensors: Mapping[str, Tensor], folder: Path, pixels: PixelArray
) -> Start:
    """Copy the weights of an exported model into an encoder of the same architecture, or into its trunk.

    Args:
        encoder: of a run that begins.
        tensors: of the model, as `read_exported` reads them.
        folder: of the model.
        pixels: the run's training images, uint8 [N, S, S, 3].

    Raises:
        TrainingError: the model does not fit.
    """
    start, root, folded = copy_layers(encoder, tensors, folder)
    if root is None:
        return start
    rows = sample_rows(len(pixels), _IMAGES, 0)
    images = to_unit(torch.from_numpy(pixels[rows])).to(encoder.mean.device)
    restored = _restore(encoder, root, folded, start.missing, images)
    missing = tuple(name for name in start.missing if name.rpartition(".")[0] not in restored)
    return replace(start, loaded=start.loaded + len(restored), missing=missing)


def copy_layers(
    encoder: Encoder, tensors: Mapping[str, Tensor], folder: Path
) -> tuple[Start, nn.Module | None, Mapping[str, Tensor]]:
    """Copy the weights of the layers, whose normalisations are not restored yet.

    Returns:
        What was copied; the module whose layers have normalisations folded into them, None where no layer
        has; what was folded into each.

    Raises:
        TrainingError: the model does not fit.
    """
    tensors = _with_present_names(encoder, tensors)
    folded = {name.removesuffix(_FOLDED): value for name, value in tensors.items() if name.endswith(_FOLDED)}
    layers = {name: value for name, value in tensors.items() if not name.endswith(_FOLDED)}
    start = initialise(encoder, layers, folder)
    return start, _root(encoder, folded, folder) if folded else None, folded


def read_exported(folder: Path) -> dict[str, Tensor]:
    """Read the tensors of an exported model, by the names of its encoder's layers.

    Raises:
        TrainingError: its graph cannot be read, or holds no encoder that was exported here.
    """
    try:
        model = onnx.load(folder / ENCODER_FILE)
    except Exception as error:
        # The library raises what it likes on damaged bytes.
        reason = " ".join(str(error).split())
        raise TrainingError(
            f"{folder / ENCODER_FILE} cannot be read ({reason}). Export the model again."
        ) from error
    tensors = {
        name: torch.from_numpy(numpy_helper.to_array(each).copy())
        for each in model.graph.initializer
        for prefix in _PREFIXES
        if (name := each.name.removeprefix(prefix)) != each.name
    }
    if not tensors:
        raise TrainingError(
            f"{folder / ENCODER_FILE} holds no weights of an encoder. Export the model again."
        )
    return tensors


def _with_present_names(encoder: Encoder, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name the layers as the encoder does: one that a block begins with once had the name of the block."""
    blocks = {name for name, module in encoder.named_modules() if isinstance(module, nn.Sequential)}

    def present(name: str) -> str:
        layer, _, tensor = name.rpartition(".")
        return f"{layer}.0.{tensor}" if layer in blocks else name

    return {present(name): value for name, value in tensors.items()}


def _root(encoder: Encoder, folded: Mapping[str, Tensor], folder: Path) -> nn.Module:
    """Find the module whose layers are named so: the encoder, or the trunk in it."""
    unknown: list[str] = []
    for root in (encoder, encoder.trunk) if isinstance(encoder, BackboneEncoder) else (encoder,):
        names = dict(root.named_modules())
        unknown = [name for name in folded if name not in names]
        if not unknown:
            return root
    raise TrainingError(
        f"{folder} does not fit the encoder: it has a layer {unknown[0]}, the encoder has none. Change the "
        "recipe's encoder, or take other weights."
    )


@torch.no_grad()
def _restore(
    encoder: Encoder, root: nn.Module, folded: Mapping[str, Tensor], missing: tuple[str, ...], images: Tensor
) -> set[str]:
    """Set each normalisation that the file lacks to what it would undo on these images.

    Let the outputs of the layer before it have the mean m and the variance v. A normalisation with these
    statistics, the weight sqrt(v) and the bias m + b adds b: what was folded into the layer.

    Args:
        encoder: what is run.
        root: of the names.
        folded: b of each layer.
        missing: names of tensors that the file does not hold.
        images: float32 [N, 3, S, S].

    Returns:
        The names of the normalisations.
    """
    sources: dict[int, str] = {}
    kept: list[Tensor] = []
    restored: set[str] = set()

    def remember(name: str, output: Tensor) -> None:
        sources[id(output)] = name
        # Alive, so that no later tensor has its id.
        kept.append(output)

    def set_statistics(name: str, layer: nn.BatchNorm1d | nn.BatchNorm2d, inputs: Tensor) -> None:
        before = sources.get(id(inputs))
        if before is None or layer.running_mean is None or layer.running_var is None:
            return
        axes = [axis for axis in range(inputs.dim()) if axis != 1]
        mean, variance = inputs.mean(dim=axes), inputs.var(dim=axes, unbiased=False)
        layer.running_mean.copy_(mean)
        layer.running_var.copy_(variance)
        layer.weight.copy_((variance + layer.eps).sqrt())
        layer.bias.copy_(mean + folded.get(before, torch.zeros_like(mean)).to(mean.device))
        restored.add(name)

    handles = []
    for name, layer in root.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            handles.append(
                layer.register_forward_hook(lambda _layer, _given, out, name=name: remember(name, out))
            )
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) and f"{name}.weight" in missing:
            handles.append(
                layer.register_forward_pre_hook(
                    lambda layer, given, name=name: set_statistics(name, layer, given[0])
                )
            )
    was_training = encoder.training
    encoder.eval()
    try:
        encoder.forward(images)
    finally:
        for handle in handles:
            handle.remove()
        encoder.train(was_training)
    return restored
