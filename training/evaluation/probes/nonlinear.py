"""The paper's non-linear classifier on one frozen layer: one hidden layer of 200 units (Hjelm et al. 2019,
section 4.2).

As in the authors' `ClassificationEval`: a linear layer, dropout of 0.1, batch normalisation, ReLU, a linear
layer, Adam. Unlike there, a validation part of the training data chooses the number of epochs. The rate falls
along a cosine, because a few tens of epochs have to do.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Generator, Tensor, nn

from contract.progress import Progress
from training.data.image_set import split_rows
from training.evaluation.probes.penalised import VALIDATION_SHARE, statistics

UNITS = 200
_DROPOUT = 0.1
_EPOCHS = 15
_BATCH = 256
_LEARNING_RATE = 1e-3


@dataclass(frozen=True)
class NonlinearProbe:
    """A fitted classifier on vectors [N, D].

    Attributes:
        network: standardised vectors to scores [N, classes], in evaluation mode.
        mean, scale: float32 [D], what inputs are standardised by.
        epochs: after how many the validation part was classified best.
    """

    network: nn.Module
    mean: Tensor
    scale: Tensor
    epochs: int

    def accuracy(self, vectors: Tensor, labels: Tensor) -> float:
        """Measure the share of vectors, float32 [N, D], that are given their label, int64 [N]."""
        return _accuracy(self.network, (vectors - self.mean) / self.scale, labels)


def fit_nonlinear(
    vectors: Tensor, labels: Tensor, classes: int, seed: int, title: str = "non-linear probe"
) -> NonlinearProbe:
    """Fit on nine tenths of float32 [N, D] with int64 labels [N]; keep the epoch that the last tenth prefers.

    Args:
        vectors, labels: what to fit.
        classes: how many there are; labels count from 0.
        seed: of the draw of the validation part, of the first weights, of batches and dropout.
        title: what the progress is called.

    Raises:
        DataError: there are too few vectors to hold any out.
    """
    mean, scale = statistics(vectors)
    held_out, rest = (torch.from_numpy(r) for r in split_rows(len(vectors), VALIDATION_SHARE, seed))
    judged = (vectors[held_out] - mean) / scale, labels[held_out]
    generator = Generator().manual_seed(seed)
    # The draws of initialisation and dropout have no generator of their own in torch.
    with torch.random.fork_rng(devices=[]), Progress(title) as progress:
        torch.manual_seed(seed)
        network = _network(vectors.shape[1], classes)
        batch = min(_BATCH, len(rest))
        steps = len(rest) // batch
        optimiser = torch.optim.Adam(network.parameters(), lr=_LEARNING_RATE, fused=True)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, _EPOCHS * steps)
        best, chosen, epochs = -1.0, network.state_dict(), 0
        for epoch in range(1, _EPOCHS + 1):
            network.train()
            for rows in rest[torch.randperm(len(rest), generator=generator)].split(batch)[:steps]:
                loss = F.cross_entropy(network((vectors[rows] - mean) / scale), labels[rows])
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                optimiser.step()
                schedule.step()
            accuracy = _accuracy(network.eval(), *judged)
            progress.update(epoch, _EPOCHS, f"{accuracy:.4f} held out")
            if accuracy > best:
                best, epochs = accuracy, epoch
                chosen = {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(chosen)
    return NonlinearProbe(network, mean, scale, epochs)


def _network(inputs: int, classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(inputs, UNITS),
        nn.Dropout(_DROPOUT),
        nn.BatchNorm1d(UNITS),
        nn.ReLU(),
        nn.Linear(UNITS, classes),
    )


@torch.no_grad()
def _accuracy(network: nn.Module, standardised: Tensor, labels: Tensor) -> float:
    return float((network(standardised).argmax(dim=1) == labels).float().mean())
