"""Coordinates: whether the place of a patch can be read off its local features and the code.

Hjelm et al. 2019 (the section on coordinate information and occlusions) train the encoder to make the place
of its patches predictable. Here the encoder is frozen, and a classifier with one hidden layer is fitted on
training images. Two tasks, on an M x M map:

- **absolute**: which of the M² cells (i, j) the features C_ij come from, given C_ij and the code y. Chance is
  1 / M².
- **relative**: the displacement (i' - i, j' - j) of two different random cells of one image, given C_ij,
  C_i'j' and y. There are (2M - 1)² - 1 displacements. Chance is the probability of the most frequent one,
  that of two neighbours: 1 / (M (M + 1)).

Each is measured on 64 questions about every held-out image, drawn at random.

A convolution that pads with zeros knows where the border is, so high figures are common and mean that the
place survives in the features; low ones mean that they say *what* and not *where*.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Generator, Tensor, nn

from training.evaluation.measures.figure import Figure
from training.evaluation.measures.fitting import FitSchedule, fit, parts
from training.evaluation.measures.inputs import Layers, MeasureInputs
from training.recipe import OptimiserRecipe
from training.system.signals import Interruption

_HIDDEN = 256
_SCHEDULE = FitSchedule(12, OptimiserRecipe(learning_rate=3e-3, weight_decay=1e-2))
_PATCHES, _MEASURED = 16, 64
_ROWS_AT_ONCE = 100


@dataclass(frozen=True)
class Task:
    """Question about cells in an M x M map.

    Attributes:
        name: absolute or relative.
        cells: how many patches of one image one question is about, 1 or 2.
        side: M, at least 2.
    """

    name: str
    cells: int
    side: int

    @property
    def classes(self) -> int:
        """Possible answers; one of a displacement, (0, 0), never occurs."""
        return self.side**2 if self.cells == 1 else (2 * self.side - 1) ** 2

    @property
    def chance(self) -> float:
        """Share that the most frequent answer makes up."""
        return 1 / self.side**2 if self.cells == 1 else 1 / (self.side * (self.side + 1))

    def draw(self, images: int, questions: int, generator: Generator) -> Tensor:
        """Draw random cells, different ones within a question: int64 [images, questions, cells]."""
        count = self.side**2
        first = torch.randint(count, (images, questions), generator=generator)
        if self.cells == 1:
            return first.unsqueeze(2)
        distance = torch.randint(1, count, (images, questions), generator=generator)
        return torch.stack([first, (first + distance) % count], dim=2)

    def answers(self, cells: Tensor) -> Tensor:
        """Number the answer of each question, int64 [images, questions]."""
        if self.cells == 1:
            return cells[:, :, 0]
        rows, columns = cells // self.side, cells % self.side
        down, right = (places[:, :, 1] - places[:, :, 0] + self.side - 1 for places in (rows, columns))
        return down * (2 * self.side - 1) + right


def absolute(side: int) -> Task:
    """Ask where a patch is."""
    return Task("absolute", 1, side)


def relative(side: int) -> Task:
    """Ask where a patch is, seen from another."""
    return Task("relative", 2, side)


class PlaceClassifier(nn.Module):
    """Features of a question's patches and a code to scores of the answers.

    Args:
        task: what is asked.
        features: float32 [N, C, M, M] of training images, and
        code: their codes [N, Y], by which inputs are standardised.
    """

    def __init__(self, task: Task, features: Tensor, code: Tensor) -> None:
        super().__init__()
        mean, scale = features.mean(dim=(0, 2, 3)), features.std(dim=(0, 2, 3))
        self.register_buffer("mean", torch.cat([mean.repeat(task.cells), code.mean(dim=0)]))
        self.register_buffer("scale", torch.cat([scale.repeat(task.cells), code.std(dim=0)]).clamp_min(1e-4))
        self.mean: Tensor
        self.scale: Tensor
        self.layers = nn.Sequential(
            nn.Linear(len(self.mean), _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, task.classes)
        )

    def forward(self, features: Tensor, code: Tensor, cells: Tensor) -> Tensor:
        """Map [B, C, M, M], [B, Y] and cells [B, Q, 1 or 2] to scores [B, Q, classes]."""
        patches = features.flatten(2).transpose(1, 2)
        rows = torch.arange(len(cells)).view(-1, 1, 1)
        asked = patches[rows, cells].flatten(2)
        inputs = torch.cat([asked, code.unsqueeze(1).expand(-1, cells.shape[1], -1)], dim=2)
        scores: Tensor = self.layers((inputs - self.mean) / self.scale)
        return scores


def measure(inputs: MeasureInputs) -> list[Figure]:
    """Measure the accuracy of both tasks."""
    fitted, measured = inputs.maps
    code = Layers(inputs.code.training[:fitted], inputs.code.test[:measured])
    side = inputs.features.test.shape[2]
    return [
        Figure(
            measure="coordinates",
            name=f"{task.name} place of a patch",
            value=accuracy(task, inputs.features, code, seed=inputs.seed, interruption=inputs.interruption),
            unit="share",
            chance=task.chance,
            limit=1.0,
            images=measured,
        )
        for task in (absolute(side), relative(side))
    ]


def accuracy(
    task: Task,
    features: Layers,
    code: Layers,
    *,
    seed: int,
    interruption: Interruption,
    schedule: FitSchedule = _SCHEDULE,
) -> float:
    """Measure the share of held-out questions that a classifier fitted on training images answers correctly.

    Args:
        task: what is asked.
        features: [N, C, M, M].
        code: [N, Y] of the same images.
        seed: of the classifier and of what is drawn.
        interruption: the request to stop, checked before every step.
        schedule: of the fit.

    Raises:
        Stopped: a stop was requested.
    """
    fitted, chosen = parts(len(code.training), seed)
    torch.manual_seed(seed)
    generator = Generator().manual_seed(seed)
    classifier = PlaceClassifier(task, features.training, code.training)

    def loss(rows: Tensor) -> Tensor:
        cells = task.draw(len(rows), _PATCHES, generator)
        scores = classifier(features.training[rows], code.training[rows], cells)
        return F.cross_entropy(scores.flatten(0, 1), task.answers(cells).flatten())

    def score() -> float:
        return _right(classifier, task, features.training[chosen], code.training[chosen], seed)

    title = f"{task.name} place"
    fit(classifier, fitted, loss, score, schedule, seed=seed, title=title, interruption=interruption)
    return _right(classifier, task, features.test, code.test, seed)


@torch.no_grad()
def _right(classifier: PlaceClassifier, task: Task, features: Tensor, code: Tensor, seed: int) -> float:
    # The same draw every time, so that epochs are compared by the same questions.
    cells = task.draw(len(code), _MEASURED, Generator().manual_seed(seed))
    right = 0
    for rows in torch.arange(len(code)).split(_ROWS_AT_ONCE):
        answers = classifier(features[rows], code[rows], cells[rows]).argmax(dim=2)
        right += int((answers == task.answers(cells[rows])).sum())
    return right / cells[:, :, 0].numel()
