"""What is measured: one classifier for each number of labels, seed and way of training."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Method = Literal["linear", "fine_tuned", "scratch"]
METHODS: tuple[Method, ...] = ("linear", "fine_tuned", "scratch")
# What is compared with training from scratch.
PRETRAINED: tuple[Method, ...] = ("linear", "fine_tuned")
TITLES: dict[Method, str] = {
    "linear": "linear probe",
    "fine_tuned": "fine-tuned",
    "scratch": "from scratch",
}


class UtilityCell(BaseModel):
    """One classifier: what it was trained by, and how well it does.

    Attributes:
        labels: n, the images that kept their label.
        seed: of the draw of these images, and of the classifier's first weights, batches and views.
        method: a linear probe of the frozen encoder, the pretrained encoder fine-tuned, or from scratch.
        accuracy: share of the test images that it classifies rightly.
    """

    model_config = ConfigDict(frozen=True)

    labels: int
    seed: int
    method: Method
    accuracy: float

    @property
    def place(self) -> tuple[int, int, int]:
        """Orders cells by labels, seed and method; no two cells of a curve share it."""
        return self.labels, self.seed, METHODS.index(self.method)
