"""Reconstruction: how much of an image a decoder can draw from its frozen code (Hjelm et al. 2019).

A decoder of transposed convolutions is fitted on training images to lower the squared error of its pixels.
On held-out images two figures are reported: the mean squared error of pixels on the scale 0..1, and
MS-SSIM. Beside each stands what the mean training image gives, which a decoder can draw from a code that
says nothing.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Tensor, nn

from training.data.views import to_unit
from training.evaluation.measures.figure import Figure
from training.evaluation.measures.fitting import FitSchedule, fit, parts
from training.evaluation.measures.inputs import Layers, MeasureInputs
from training.evaluation.measures.ms_ssim import ms_ssim
from training.recipe import OptimiserRecipe
from training.system.signals import Interruption

_CHANNELS = 16
_SMALLEST = 4
_SCHEDULE = FitSchedule(8, OptimiserRecipe(learning_rate=2e-3, weight_decay=1e-4))
_ROWS_AT_ONCE = 500


class ReconstructionDecoder(nn.Module):
    """Codes to square images: a linear layer onto a small map, then doublings of its side.

    Args:
        code_units: Y.
        side: of the images in pixels. It is halved as long as it stays a whole number of at least 4; the
            small map has that side; each doubling halves the channels, from 128 at most down to 16.
    """

    def __init__(self, code_units: int, side: int) -> None:
        super().__init__()
        doublings = 0
        while side % 2 == 0 and side // 2 >= _SMALLEST:
            side, doublings = side // 2, doublings + 1
        # 128 channels at 4 x 4 for 32 pixels.
        widths = [_CHANNELS * 2 ** min(left, 3) for left in range(doublings, -1, -1)]
        layers: list[nn.Module] = [
            nn.Linear(code_units, widths[0] * side * side),
            nn.Unflatten(1, (widths[0], side, side)),
        ]
        for inputs, outputs in pairwise(widths):
            layers += [
                nn.BatchNorm2d(inputs),
                nn.ReLU(),
                nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False),
            ]
        layers += [nn.BatchNorm2d(widths[-1]), nn.ReLU(), nn.Conv2d(widths[-1], 3, 3, padding=1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, code: Tensor) -> Tensor:
        """Map [B, Y] to [B, 3, side, side], about on the scale 0..1."""
        images: Tensor = self.layers(code) + 0.5
        return images


def measure(inputs: MeasureInputs) -> list[Figure]:
    """Measure MS-SSIM and squared error of held-out images drawn from their codes."""
    code = inputs.code
    mean, scale = code.training.mean(dim=0), code.training.std(dim=0).clamp_min(1e-4)
    standardised = Layers((code.training - mean) / scale, (code.test - mean) / scale)
    pixels = Layers(torch.from_numpy(inputs.training.pixels[:]), torch.from_numpy(inputs.test.pixels[:]))
    torch.manual_seed(inputs.seed)
    decoder = ReconstructionDecoder(code.test.shape[1], inputs.test.pixels.shape[1])
    fit_decoder(
        decoder, standardised.training, pixels.training, seed=inputs.seed, interruption=inputs.interruption
    )
    similarity, error = compare(decoder, standardised.test, pixels.test)
    average = to_unit(pixels.training).mean(dim=0, keepdim=True)
    blank_similarity, blank_error = compare(_Always(average), standardised.test, pixels.test)
    images = len(code.test)
    return [
        Figure(
            measure="decoder",
            name="MS-SSIM of the reconstruction",
            value=similarity,
            unit="similarity",
            chance=blank_similarity,
            limit=1.0,
            images=images,
        ),
        Figure(
            measure="decoder",
            name="mean squared error of the reconstruction",
            value=error,
            unit="squared error",
            chance=blank_error,
            images=images,
        ),
    ]


def fit_decoder(
    decoder: ReconstructionDecoder,
    code: Tensor,
    pixels: Tensor,
    *,
    seed: int,
    interruption: Interruption,
    schedule: FitSchedule = _SCHEDULE,
) -> None:
    """Lower the squared error on training codes float32 [N, Y] and their images uint8 [N, H, W, 3].

    Raises:
        Stopped: a stop was requested.
    """
    fitted, chosen = parts(len(code), seed)

    def loss(rows: Tensor) -> Tensor:
        return F.mse_loss(decoder(code[rows]), to_unit(pixels[rows]))

    def score() -> float:
        errors = [float(loss(rows)) * len(rows) for rows in chosen.split(_ROWS_AT_ONCE)]
        return -sum(errors) / len(chosen)

    fit(decoder, fitted, loss, score, schedule, seed=seed, title="decoder", interruption=interruption)


class _Always(nn.Module):
    """Draws the same image [1, 3, H, W] from every code."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self.image = image

    def forward(self, code: Tensor) -> Tensor:
        return self.image.expand(len(code), -1, -1, -1)


@torch.no_grad()
def compare(decoder: nn.Module, code: Tensor, pixels: Tensor) -> tuple[float, float]:
    """Compute mean MS-SSIM and squared error of what the decoder draws, its pixels clipped to 0..1.

    Args:
        decoder: codes [B, Y] to images [B, 3, H, W].
        code: float32 [N, Y].
        pixels: uint8 [N, H, W, 3].
    """
    similarity = error = 0.0
    for rows in torch.arange(len(code)).split(_ROWS_AT_ONCE):
        drawn, truth = decoder(code[rows]).clamp(0, 1), to_unit(pixels[rows])
        similarity += float(ms_ssim(drawn, truth).sum())
        error += float(F.mse_loss(drawn, truth)) * len(rows)
    return similarity / len(code), error / len(code)
