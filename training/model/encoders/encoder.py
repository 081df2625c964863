"""The base of all encoders: normalisation, a local trunk C, a global trunk f, and the patch geometry."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from contract.patches import PatchGrid
from training.model.encoders.encoding import Encoding, Maps


class Encoder(nn.Module):
    """E = f(C(x)) on images of one square size.

    Args:
        input_size: height and width of the images in pixels.
        local: images [B, 3, H, W] to C(x) [B, C, M, M].
        conv: C(x) to the last convolutional map [B, C2, M2, M2].
        fc: that map to the hidden vector [B, F].
        code: the hidden vector to the code [B, Y].
        kernels: (kernel, stride, padding) of the layers of `local` in order, along its longest path.
    """

    def __init__(
        self,
        input_size: int,
        local: nn.Module,
        conv: nn.Module,
        fc: nn.Module,
        code: nn.Module,
        kernels: Sequence[tuple[int, int, int]],
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.local = local
        self.conv = conv
        self.fc = fc
        self.code = code
        self._kernels = tuple(kernels)
        # Channel statistics of the training images, set once by `set_statistics` and saved with the weights.
        self.register_buffer("mean", torch.full((1, 3, 1, 1), 0.5))
        self.register_buffer("std", torch.full((1, 3, 1, 1), 0.25))
        self.mean: Tensor
        self.std: Tensor

    def set_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Store the training images' channel mean and deviation, each float32 [3] on the scale 0..1."""
        self.mean.copy_(mean.view(1, 3, 1, 1))
        self.std.copy_(std.view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Encoding:
        """Encode float32 images [B, 3, H, W] on the scale 0..1."""
        return self.encode_maps(*self.maps(images))

    def maps(self, images: Tensor) -> Maps:
        """Compute C(x) and the last map."""
        features = self.local((images - self.mean) / self.std)
        return Maps(features, self.conv(features))

    def encode_maps(self, features: Tensor, conv: Tensor) -> Encoding:
        """Apply f: from the maps of `maps` to all layers."""
        fc = self.fc(conv)
        return Encoding(features, conv, fc, self.code(fc))

    def patch_grid(self) -> PatchGrid:
        """Compute where the patches of C(x) lie in the input (Araujo et al. 2019, equations 2 and 4)."""
        field, jump, start = 1.0, 1.0, 0.5
        for kernel, stride, padding in self._kernels:
            field += (kernel - 1) * jump
            start += ((kernel - 1) / 2 - padding) * jump
            jump *= stride
        side = round(self.input_size / jump)
        return PatchGrid(rows=side, columns=side, stride=jump, receptive_field=field, first_centre=start)
