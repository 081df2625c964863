"""A foreign encoder as a graph: uint8 pixels in, the map of patches and one vector out."""

from dataclasses import dataclass

import numpy as np
import onnx

from contract.patches import PatchGrid
from training.data.pixel_rows import PixelArray
from training.errors import ExportError
from training.evaluation.frozen import FrozenEncoder, exported
from training.export.onnx_files import session_of

FEATURES, VECTOR = "features", "fc"
# An image whose vector depends on its batch differs by far more than rounding does.
_LARGEST_DIFFERENCE = 1e-3


@dataclass(frozen=True)
class Trunk:
    """What is adopted.

    Attributes:
        model: graph from `image`, uint8 [N, H, W, 3], to `features` [N, C, M, M] and `fc` [N, D], float32.
        patch_grid: where the patches of the features lie.
        encoder: its name for the card.
        record: where it comes from and how it was made, for the card.
    """

    model: onnx.ModelProto
    patch_grid: PatchGrid
    encoder: str
    record: dict[str, object]

    @property
    def frozen(self) -> FrozenEncoder:
        return exported(session_of(self.model))


def check_sound(model: onnx.ModelProto, pixels: PixelArray) -> None:
    """Refuse a trunk whose outputs are not finite, or depend on which images share a batch.

    Args:
        model: as `Trunk.model`.
        pixels: uint8 [N, H, W, 3], at least two different images.

    Raises:
        ExportError: naming the output.
    """
    encoder = exported(session_of(model))
    together = encoder.encode(pixels, (FEATURES, VECTOR))
    alone = encoder.encode(pixels[:1], (FEATURES, VECTOR))
    for name, values in together.items():
        if not np.isfinite(values).all():
            raise ExportError(
                f"The encoder's {name} of these images are not finite. Check its weights, --mean and --std."
            )
        difference = float(np.abs(values[:1] - alone[name]).max())
        if difference > _LARGEST_DIFFERENCE * max(1.0, float(np.abs(values).max())):
            raise ExportError(
                f"The encoder's {name} of an image change by {difference:.2g} with the other images of the "
                "batch. Export it in evaluation mode, with a free first axis."
            )
