"""Variational autoencoder (Kingma and Welling 2014): codes are distributions, held to a standard normal."""

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from training.experiments.baselines.decoder import ImageDecoder
from training.model.encoders import Encoder
from training.model.trainable import Trainable


class VariationalAutoencoder(Trainable):
    """The encoder's code is the mean of q(z|x); its deviation comes from the same hidden vector.

    p(x|z) is a normal distribution around the decoder's image whose one variance, shared by all pixels, is
    its maximum-likelihood value (Rybkin et al. 2021, "sigma-VAE"): no weight between reconstruction and prior
    is left to choose.

    Args:
        encoder: what is trained, of images of 32 x 32 pixels.
        hidden_units: F, of the layer before the code.
        code_units: Y, of a code.
    """

    def __init__(self, encoder: Encoder, hidden_units: int, code_units: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.log_variance = nn.Linear(hidden_units, code_units)
        # Starts with narrow posteriors, so that the decoder sees the code before it sees noise.
        nn.init.zeros_(self.log_variance.weight)
        nn.init.constant_(self.log_variance.bias, -2.0)
        self.decoder = ImageDecoder(code_units)

    def forward(
        self, views: Sequence[Tensor], generator: Generator, _rows: Tensor
    ) -> tuple[Tensor, dict[str, float], Tensor]:
        """Return minus the evidence lower bound, in nats for each of the image's numbers, and its two terms.

        `kl_nats` is the divergence of one image's code, `error` the mean squared error.
        """
        images = torch.cat(list(views))
        encoding = self.encoder(images)
        mean, log_variance = encoding.code, self.log_variance(encoding.fc).clamp(-12, 12)
        noise = torch.randn(mean.shape, generator=generator).to(mean.device)
        rebuilt = self.decoder(mean + noise * (log_variance / 2).exp())
        error = (rebuilt - images).square().mean()
        kl = kl_to_standard_normal(mean, log_variance).mean()
        # With the best variance, the density's exponent is a constant and only its logarithm is left.
        reconstruction = (error.clamp_min(1e-8).log() + 1 + math.log(2 * math.pi)) / 2
        loss = reconstruction + kl / images[0].numel()
        return loss, {"kl_nats": kl.item(), "error": error.item()}, mean


def kl_to_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Compute KL(N(mean, variance) || N(0, 1)) in nats of each row of [B, Y], dimensions independent: [B].

    (Kingma and Welling 2014, appendix B.)
    """
    return (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1) / 2
