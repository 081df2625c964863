"""Scaling of the served critic's nats: a temperature and an offset that held-out images choose.

A critic is too sure of images that it was not fitted to, the more so the fewer images there were: pairs
whose map says t nats are less than e^t times as frequent among own pairs. It also has seen the codes of its
bank, so that scores against them are lower than against new codes. Every claim is then too high by about
the same amount. Two numbers mend a part of both and leave the order of patches as it is (Platt 1999; Guo et
al. 2017, "On calibration of modern neural networks"): those with which the map is the best log odds of a
pair being an image's own, where own and other pairs weigh the same. The odds of such pairs are the density
ratio that nats claim.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Tensor

from contract.card import Calibration
from training.data.image_set import sample_rows
from training.model.serving_critic import ServingCritic

# With fewer held-out images the choice would say more of them than of the critic.
_FEWEST_IMAGES = 8
_MOST_IMAGES = 512
_MOST_POSITIONS = 16
_STEPS = 50


@dataclass(frozen=True)
class Scaling:
    """How claims follow from a critic's scores T and its bank.

    pmi = T(C_i, E) / temperature - log mean_j exp(T(C_i, E_j) / temperature) - offset

    Attributes:
        temperature: above 1 where the critic is too sure.
        offset: in nats, above 0 where the bank is told apart too easily.
    """

    temperature: float
    offset: float

    @classmethod
    def of(cls, stated: Calibration) -> "Scaling":
        """Read the scaling of a critic's graph from its card."""
        return cls(stated.temperature or UNSCALED.temperature, stated.offset_nats or UNSCALED.offset)


UNSCALED = Scaling(temperature=1.0, offset=0.0)


def fit(critic: ServingCritic, features: Tensor, code: Tensor, bank: Tensor, *, seed: int) -> Scaling:
    """Fit both numbers; (1, 0) where there are too few images.

    Args:
        critic: fitted.
        features, code: of held-out images, [N, C, M, M] and [N, Y].
        bank: codes [K, Y] that the exported graph takes for the marginal.
        seed: of the images and positions that are looked at.
    """
    if len(code) < _FEWEST_IMAGES:
        return UNSCALED
    rows = torch.from_numpy(sample_rows(len(code), _MOST_IMAGES, seed))
    places = torch.from_numpy(sample_rows(features[0, 0].numel(), _MOST_POSITIONS, seed))
    with torch.no_grad():
        patches = critic.project_local(features[rows]).flatten(2)[:, :, places].permute(2, 0, 1)
        scores = patches @ critic.project_global(code[rows]).T
        against = patches @ critic.project_global(bank).T
    if not (scores.isfinite().all() and against.isfinite().all()):
        # The graph will be refused for it, by name.
        return UNSCALED
    own = torch.eye(len(rows), dtype=torch.bool).expand_as(scores)
    parameters = torch.zeros(2, requires_grad=True)
    optimiser = torch.optim.LBFGS([parameters], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        log_temperature, offset = parameters
        cooling = torch.exp(-log_temperature)
        normaliser = _log_mean_exp(against * cooling)
        claimed = scores * cooling - normaliser - offset
        total = F.softplus(-claimed[own]).mean() + F.softplus(claimed[~own]).mean()
        # A prior: few images hardly move it.
        total = total + parameters.square().sum() / len(rows)
        total.backward()
        return total

    optimiser.step(loss)
    log_temperature, offset = parameters.detach()
    return Scaling(float(log_temperature.exp()), float(offset))


def _log_mean_exp(scores: Tensor) -> Tensor:
    """Reduce [..., K] to [..., 1]."""
    count = torch.tensor(float(scores.shape[-1]))
    return scores.logsumexp(dim=-1, keepdim=True) - count.log()
