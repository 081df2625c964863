"""What every encoder returns."""

from typing import NamedTuple

from torch import Tensor


class Maps(NamedTuple):
    """What f reads: C(x) and the last map of some images.

    Attributes:
        features: float32 [B, C, M, M].
        conv: float32 [B, C2, M2, M2].
    """

    features: Tensor
    conv: Tensor


class Encoding(NamedTuple):
    """The layers of E = f(C(x)) that objectives and probes read, for a batch of B images.

    Attributes:
        features: C(x), the local feature map, float32 [B, C, M, M].
        conv: the last convolutional map, float32 [B, C2, M2, M2].
        fc: the hidden vector between the map and the code, float32 [B, F].
        code: E(x) = Y, float32 [B, Y].
    """

    features: Tensor
    conv: Tensor
    fc: Tensor
    code: Tensor

    def vectors(self, layer: str) -> Tensor:
        """Return one layer as vectors, float32 [B, D]; a map is flattened."""
        values: Tensor = getattr(self, layer)
        return values.flatten(1)
