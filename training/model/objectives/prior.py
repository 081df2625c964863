"""Prior matching (Hjelm et al. 2019, equation 7; Makhzani et al. 2016): codes shall look drawn from a prior.

A discriminator learns to tell samples of the prior from codes, and the encoder learns to be taken for the
prior. The two are opponents: each has its own loss and its own optimiser, and neither loss moves the other
side's weights.
"""

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Generator, Tensor, nn

from training.distributed import ranks
from training.model.priors import Prior


class PriorMatching(nn.Module):
    """The discriminator D, a logit that is high for the prior, and the losses of both sides.

    Args:
        code_units: Y, of a code.
        prior: the distribution.
    """

    def __init__(self, code_units: int, prior: Prior) -> None:
        super().__init__()
        # The widths of the authors' code.
        self.discriminator = nn.Sequential(
            nn.Linear(code_units, 1000), nn.ReLU(), nn.Linear(1000, 200), nn.ReLU(), nn.Linear(200, 1)
        )
        self._prior = prior

    def forward(self, code: Tensor) -> Tensor:
        """Compute the encoder's loss on codes [N, Y]: -log of the discriminator's belief in the prior.

        Non-saturating (Goodfellow et al. 2014, section 3): it has a gradient also where the discriminator is
        sure. The discriminator's own parameters take part as constants.
        """
        fixed = {name: weight.detach() for name, weight in self.discriminator.named_parameters()}
        logits = torch.func.functional_call(self.discriminator, fixed, (self._prior.onto_support(code),))
        return F.softplus(-logits).mean()

    def discriminate(self, code: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Compute the discriminator's loss on codes [N, Y], without gradient, and as many prior samples.

        Returns:
            The cross-entropy, 2 log 2 when it cannot tell them; and its accuracy, 0.5 then.
        """
        joint = torch.Size([ranks.count() * len(code), code.shape[1]])
        samples = ranks.share(self._prior.draw(joint, generator)).to(code.device)
        real = self.discriminator(samples)
        fake = self.discriminator(self._prior.onto_support(code.detach()))
        loss = F.softplus(-real).mean() + F.softplus(fake).mean()
        accuracy = ((real > 0).float().mean() + (fake < 0).float().mean()) / 2
        return loss, accuracy
