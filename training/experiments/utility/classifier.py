"""An encoder with a linear classifier on top, trained as a whole: from scratch, or from pretrained weights.

One schedule serves both, so that the weights that it starts from are all that differs.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from pydantic import BaseModel, ConfigDict
from torch import Generator, Tensor, nn

from training.data.views import random_views, to_unit
from training.errors import TrainingError
from training.loop.execution import Execution, Precision
from training.loop.trained import TrainedEncoder
from training.model.encoders import Encoder, build_encoder, layer_shapes
from training.optim.optimiser import adamw, rate_share, set_rates
from training.recipe import OptimiserRecipe, Recipe, ViewRecipe

_EVALUATED_AT_ONCE = 512


class ClassifierSchedule(BaseModel):
    """Schedule of a classifier, the same with few labels and many but for the number of steps.

    Long enough for training from scratch, which needs it more than fine-tuning does: a schedule that only
    fine-tuning gets to the end of would make pretraining look better than it is.

    Attributes:
        batch_size: images of a step.
        fewest_steps: taken however few labels there are.
        epochs: passes over the labelled images, where these are more steps.
        scratch, fine_tuned: the optimiser for random and for pretrained weights.
        views: of the labelled images.
        precision: of the classifier's products while it is trained; it is measured in float32.
    """

    model_config = ConfigDict(frozen=True)

    batch_size: int = 32
    fewest_steps: int = 600
    epochs: int = 45
    scratch: OptimiserRecipe = OptimiserRecipe(learning_rate=1e-3, weight_decay=0.05)
    fine_tuned: OptimiserRecipe = OptimiserRecipe(learning_rate=1e-3, weight_decay=0.05)
    views: ViewRecipe
    precision: Precision = "float32"

    def steps(self, labels: int) -> int:
        """Return the number of steps for a number of labelled images."""
        return max(self.fewest_steps, math.ceil(self.epochs * labels / self.batch_size))


def schedule_for(recipe: Recipe, precision: Precision = "float32") -> ClassifierSchedule:
    """Derive the schedule from a run's recipe: mirrored only where its views may be, mild in colour."""
    flip = 0.5 if recipe.augmentation is None else recipe.augmentation.flip
    views = ViewRecipe(min_crop=0.4, flip=flip, brightness=0.2, contrast=0.2, saturation=0.2, hue=0, grey=0)
    return ClassifierSchedule(views=views, precision=precision)


class Classifier(nn.Module):
    """Images [B, 3, H, W] on the scale 0..1 to logits [B, classes], read off one layer of an encoder."""

    def __init__(self, encoder: Encoder, layer: str, classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.layer = layer
        self.head = nn.Linear(layer_shapes(encoder).vectors(layer).shape[1], classes)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.encoder(images).vectors(self.layer))
        return logits

    @torch.no_grad()
    def accuracy(self, pixels: Tensor, labels: Tensor) -> float:
        """Measure the share of uint8 images [N, H, W, 3] that are given their label, int64 [N]."""
        self.eval()
        right = 0
        for chunk, truth in zip(
            pixels.split(_EVALUATED_AT_ONCE), labels.split(_EVALUATED_AT_ONCE), strict=True
        ):
            images = to_unit(chunk).contiguous(memory_format=torch.channels_last)
            right += int((self(images).argmax(dim=1) == truth).sum())
        return right / len(labels)


def from_scratch(trained: TrainedEncoder, classes: int, seed: int) -> Classifier:
    """Build a classifier of the same architecture whose every weight is random.

    The images' mean and deviation, which no label tells, are those of the run.
    """
    torch.manual_seed(seed)
    recipe = trained.recipe
    encoder = build_encoder(recipe.encoder, recipe.input_size)
    encoder.set_statistics(trained.encoder.mean.flatten(), trained.encoder.std.flatten())
    return Classifier(encoder, recipe.embedding_layer, classes)


def pretrained(trained: TrainedEncoder, classes: int, seed: int) -> Classifier:
    """Return the classifier of `from_scratch` with the same seed, but with the weights of a run's encoder."""
    classifier = from_scratch(trained, classes, seed)
    classifier.encoder.load_state_dict(trained.encoder.state_dict())
    return classifier


def fit(
    classifier: Classifier,
    pixels: Tensor,
    labels: Tensor,
    schedule: ClassifierSchedule,
    optimiser: OptimiserRecipe,
    seed: int,
    each_step: Callable[[], bool],
) -> bool:
    """Train all weights on uint8 images [N, H, W, 3] with labels int64 [N].

    The last weights count: of so few labels none are held out to choose an earlier step by.

    Args:
        classifier: changed in place.
        pixels, labels: what to fit.
        schedule: batches, steps and views.
        optimiser: rate and decay.
        seed: of the batches and views.
        each_step: called after every step; False stops.

    Returns:
        Whether all steps were taken.

    Raises:
        TrainingError: the loss is not finite.
    """
    torch.use_deterministic_algorithms(True)
    generator = Generator().manual_seed(seed)
    steps = schedule.steps(len(labels))
    execution = Execution(precision=schedule.precision)
    adam = adamw(classifier.parameters(), optimiser)
    classifier.train()
    for step, rows in enumerate(_batches(len(labels), schedule.batch_size, steps, generator)):
        set_rates([adam], rate_share(optimiser, step, steps))
        views = random_views(pixels[rows], schedule.views, generator)
        with execution.autocast():
            logits = classifier(views)
        loss = F.cross_entropy(logits.float(), labels[rows])
        if not math.isfinite(loss.item()):
            raise TrainingError(
                f"The loss of a classifier on {len(labels)} labels is {loss.item()} at step {step + 1}; "
                "look at the run's curves: an encoder with such weights is not worth fine-tuning."
            )
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
        if not each_step():
            return False
    return True


def _batches(count: int, batch_size: int, steps: int, generator: Generator) -> Tensor:
    """Draw shuffled passes over the rows, one after another without a gap: int64 [steps, batch_size]."""
    passes = math.ceil(steps * batch_size / count)
    order = torch.cat([torch.randperm(count, generator=generator) for _ in range(passes)])
    return order[: steps * batch_size].view(steps, batch_size)
