"""The critic that is served: one kind for every model, so that the maps of different models compare.

The critics of a training run score augmented views by the recipe's estimator, and one-view critics keep
moving with the encoder. The served critic is the same for all: encode-and-dot-product and
InfoNCE, on patches and code of the same plain image against codes of other images.
"""

import math

import torch
from torch import Tensor, nn


class ServingCritic(nn.Module):
    """Scores T(C_i, E) = <local(C_i), global(E)>, float32.

    Args:
        channels: C of the features.
        code_units: Y of the code.
        units: width U of the projections.
    """

    def __init__(self, channels: int, code_units: int, units: int = 128) -> None:
        super().__init__()
        hidden = 2 * units
        self.local = nn.Sequential(nn.Conv2d(channels, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, units, 1))
        self.global_ = nn.Sequential(nn.Linear(code_units, hidden), nn.ReLU(), nn.Linear(hidden, units))
        # Inputs are standardised, so that one learning rate serves every encoder.
        self.register_buffer("feature_mean", torch.zeros(1, channels, 1, 1))
        self.register_buffer("feature_scale", torch.ones(1, channels, 1, 1))
        self.register_buffer("code_mean", torch.zeros(1, code_units))
        self.register_buffer("code_scale", torch.ones(1, code_units))
        self.feature_mean: Tensor
        self.feature_scale: Tensor
        self.code_mean: Tensor
        self.code_scale: Tensor
        self._units = units

    def standardise(self, features: Tensor, code: Tensor) -> None:
        """Set the input statistics from samples: features [N, C, M, M], code [N, Y]."""
        self.feature_mean.copy_(features.mean(dim=(0, 2, 3)).view(1, -1, 1, 1))
        self.feature_scale.copy_(features.std(dim=(0, 2, 3)).clamp_min(1e-4).view(1, -1, 1, 1))
        self.code_mean.copy_(code.mean(dim=0, keepdim=True))
        self.code_scale.copy_(code.std(dim=0, keepdim=True).clamp_min(1e-4))

    def project_local(self, features: Tensor) -> Tensor:
        """Map [N, C, M, M] to [N, U, M, M]."""
        projected: Tensor = self.local((features - self.feature_mean) / self.feature_scale)
        return projected / math.sqrt(self._units)

    def project_global(self, code: Tensor) -> Tensor:
        """Map [N, Y] to [N, U]."""
        projected: Tensor = self.global_((code - self.code_mean) / self.code_scale)
        return projected


def infonce_loss(critic: ServingCritic, features: Tensor, code: Tensor) -> Tensor:
    """Average -log softmax over the batch's codes at the own code over images and positions, in nats."""
    local = critic.project_local(features).flatten(2)
    scores = torch.einsum("aup,bu->bap", local, critic.project_global(code))
    log_share = scores.log_softmax(dim=0).diagonal(dim1=0, dim2=1)
    return -log_share.mean()


@torch.no_grad()
def held_out_bound(critic: ServingCritic, features: Tensor, code: Tensor, batch_size: int) -> float:
    """Compute log(batch) minus the InfoNCE loss in nats, over whole batches of [N, ...] held-out images."""
    size = min(batch_size, len(code))
    losses = [
        float(infonce_loss(critic, features[start : start + size], code[start : start + size]))
        for start in range(0, len(code) - size + 1, size)
    ]
    return math.log(size) - sum(losses) / len(losses)
