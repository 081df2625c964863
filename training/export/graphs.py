"""The two ONNX graphs of an artefact as modules: what `docs/architecture.md` calls encoder and critic."""

import math

import torch
from torch import Tensor, nn

from training.export.score_scaling import UNSCALED, Scaling
from training.model.encoders import Encoder
from training.model.encoders.embedding import EmbeddingHead
from training.model.serving_critic import ServingCritic


class EncoderGraph(nn.Module):
    """uint8 pixels in, every layer out, with normalisation inside.

    The layers `conv` and `fc` lie on the way to the code and cost nothing; probes read them, the service
    does not ask for them.

    Args:
        encoder: of a run.
        embedding_layer: what the embedding is made of: "conv", "fc" or "code".
        embedding: of that layer, fitted.
    """

    OUTPUTS = ("embedding", "code", "features", "conv", "fc")

    def __init__(self, encoder: Encoder, embedding_layer: str, embedding: EmbeddingHead) -> None:
        super().__init__()
        self.encoder = encoder
        self.embedding_layer = embedding_layer
        self.embedding = embedding

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Map uint8 `image` [N, H, W, 3] to the tensors named by OUTPUTS."""
        encoding = self.encoder(image.permute(0, 3, 1, 2).to(torch.float32) / 255)
        embedding = self.embedding(encoding.vectors(self.embedding_layer))
        return embedding, encoding.code, encoding.features, encoding.conv, encoding.fc


class CriticGraph(nn.Module):
    """Features and code in, calibrated pointwise mutual information out.

    pmi_i = T(C_i, E) - log mean_j exp T(C_i, E_j) over a bank of codes E_j of other images: InfoNCE's
    optimal score is the log density ratio up to a function of the patch (van den Oord et al. 2018,
    section 2.3), and the bank removes that function. Scaling divides the scores by a temperature, and adds an
    offset to the normaliser.
    """

    OUTPUTS = ("mi_map", "local", "global", "local_log_normaliser")

    def __init__(self, critic: ServingCritic, bank: Tensor, scaling: Scaling = UNSCALED) -> None:
        """Build from codes float32 [K, Y] of training images, whose projections become part of the graph."""
        super().__init__()
        self.critic = critic
        self.scaling = scaling
        self.register_buffer("bank", critic.project_global(bank).detach())
        self.bank: Tensor

    def forward(self, features: Tensor, code: Tensor) -> tuple[Tensor, ...]:
        """Map features float32 [N, C, M, M] and code float32 [N, Y] to the tensors named by OUTPUTS."""
        local = self.critic.project_local(features) / self.scaling.temperature
        global_ = self.critic.project_global(code)
        patches = local.flatten(2).transpose(1, 2)
        against_bank = patches @ self.bank.T
        normaliser = torch.logsumexp(against_bank, dim=2) - math.log(self.bank.shape[0])
        normaliser = normaliser + self.scaling.offset
        scores = (patches @ global_.unsqueeze(2)).squeeze(2)
        grid = (-1, local.shape[2], local.shape[3])
        return (scores - normaliser).reshape(grid), local, global_, normaliser.reshape(grid)
