"""A PyTorch module as a trunk: two of its layers, with normalisation before and pooling behind them."""

import copy
import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from training.errors import ExportError, RecipeError
from training.export.adoption.statistics import Statistics
from training.export.adoption.trunk import FEATURES, VECTOR, Trunk, check_sound
from training.export.onnx_files import check_equal, convert
from training.loop.initial_weights import initialise_module, read_weights
from training.model.encoders.backbone import Taps, check_map
from training.model.encoders.factory import make_module
from training.model.encoders.receptive_field import patch_grid_of

_EXAMPLES = 8
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TorchSource:
    """A module by the function that makes it.

    Attributes:
        factory: "package:function".
        arguments: of the function.
        features: layer whose output is the map of patches.
        conv: layer whose output is pooled to the vector, or is the vector.
        weights: file to load into the module; None where the function loads them.
    """

    factory: str
    arguments: dict[str, bool | int | float | str]
    features: str
    conv: str
    weights: Path | None = None


class TrunkGraph(nn.Module):
    """uint8 pixels [N, H, W, 3] in; the map [N, C, M, M] and the pooled vector [N, D] out."""

    OUTPUTS = (FEATURES, VECTOR)

    def __init__(self, taps: Taps, statistics: Statistics) -> None:
        super().__init__()
        self.taps = taps
        self.register_buffer("mean", torch.tensor(statistics.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(statistics.std).view(1, 3, 1, 1))
        self.mean: Tensor
        self.std: Tensor

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Map uint8 `image` to the tensors named by OUTPUTS."""
        images = image.permute(0, 3, 1, 2).to(torch.float32) / 255
        features, conv = self.taps((images - self.mean) / self.std)
        return features, conv.mean(dim=(2, 3)) if conv.dim() == 4 else conv


def torch_trunk(source: TorchSource, statistics: Statistics, size: int) -> Trunk:
    """Make the module, load its weights, and export its trunk as a graph that computes the same.

    Args:
        source: of the module.
        statistics: that its weights expect.
        size: height and width of its input in pixels.

    Raises:
        RecipeError: the module cannot be made, a layer does not exist or does not fit.
        TrainingError: the weights do not fit.
        ExportError: it cannot be exported, or the graph differs from PyTorch.
    """
    module = make_module(source.factory, source.arguments)
    if source.weights is not None:
        start = initialise_module(module, read_weights(source.weights), source.weights)
        if start.missing:
            _log.warning("%s: %s", source.weights.name, start)
    taps = Taps(module, source.features, source.conv).eval()
    features, conv = taps.shapes(size)
    check_map("features", features)
    if len(conv) not in (2, 4):
        raise RecipeError(
            f"encoder.conv gives {list(conv)}, and a map [B, C, M, M] or a vector [B, D] is needed. "
            "Name another layer."
        )
    graph = TrunkGraph(taps, statistics).eval()
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randint(256, (_EXAMPLES, size, size, 3), generator=generator, dtype=torch.uint8)
    try:
        model = convert(graph, (pictures[:2],), ("image",), graph.OUTPUTS)
    except Exception as error:
        # PyTorch's exporter raises what it likes.
        raise ExportError(
            f"{source.factory} cannot be exported to ONNX: {type(error).__name__}: {_first_line(error)}. "
            "Export it yourself and adopt it with --onnx."
        ) from error
    check_sound(model, pictures.numpy())
    check_equal(model, graph, (pictures,))
    measured = copy.deepcopy(taps)
    return Trunk(
        model=model,
        patch_grid=patch_grid_of(lambda images: measured(images)[0], measured, size),
        encoder=source.factory,
        record={
            "factory": source.factory,
            "arguments": source.arguments,
            "features": source.features,
            "conv": source.conv,
            "mean": statistics.mean,
            "std": statistics.std,
            **({} if source.weights is None else {"weights": source.weights.name}),
        },
    )


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason given")
