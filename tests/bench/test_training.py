"""The benchmark of training: every part is timed, and the table says what was found."""

import sys
from pathlib import Path

import pytest

from bench.training.measure import Contest
from bench.training.ours import our_parts
from bench.training.plot import draw
from bench.training.public import public_parts
from bench.training.results import Results, Timing, markdown
from training.loop.execution import Execution
from training.recipe import Recipe

TINY = {
    "name": "tiny",
    "epochs": 1,
    "batch_size": 4,
    "views": 2,
    "encoder": {"name": "dim32", "code_units": 4},
    "critic": {"units": 4},
    "augmentation": {},
}
# Of the form of the other implementation: an encoder that returns code and map, and a loss with networks.
NETWORKS = """
from torch import nn

class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.map, self.code = nn.Conv2d(3, 2, 4), nn.Linear(2 * 29 * 29, 4)

    def forward(self, images):
        features = self.map(images)
        return self.code(features.flatten(1)), features
"""
SCRIPT = """
from models import Encoder
from torch import nn
from torchvision.datasets.cifar import CIFAR10
from torchvision.transforms import ToTensor
from tqdm import tqdm

class DeepInfoMaxLoss(nn.Module):
    def __init__(self):
        super().__init__()
        self.score = nn.Linear(4, 2)

    def forward(self, code, own, other):
        gap = (own - other).mean(dim=(2, 3))
        return (self.score(code) * gap).mean()
"""


def test_every_part_of_a_step_is_timed() -> None:
    execution = Execution()
    contest = Contest(our_parts(Recipe.model_validate(TINY), execution), execution.device, "cpu")
    contest.warm_up()
    timing = contest.round(repetition=1, steps=2)
    assert (timing.recipe, timing.repetition, timing.images) == ("tiny", 1, 8)
    assert timing.bare > 0
    assert timing.step > 0
    assert timing.loader >= 0


def test_the_table_shows_medians_with_their_spread(tmp_path: Path) -> None:
    timings = [
        Timing("mine", number, images=100, bare=1.0, step=step, loader=0.1)
        for number, step in enumerate((1.25, 1.1, 2.0))
    ]
    assert timings[0].overhead == pytest.approx(0.25)
    results = Results({}, {}, timings)
    assert markdown(results).splitlines()[2] == (
        "| mine | 100 (100 to 100) | 80 (50 to 91) | 25.0% (10.0% to 100.0%) | 1,000 (1,000 to 1,000) |"
    )
    draw(results, tmp_path / "training.png")
    assert (tmp_path / "training.png").read_bytes().startswith(b"\x89PNG")


def test_a_folder_that_is_not_a_checkout_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"models\.py is missing\. Name a checkout of"):
        public_parts(tmp_path, Execution().device)


def test_another_implementation_is_timed_by_the_same_parts(tmp_path: Path) -> None:
    (tmp_path / "models.py").write_text(NETWORKS)
    (tmp_path / "train.py").write_text(SCRIPT)
    parts = public_parts(tmp_path, Execution().device)
    timing = Contest(parts, Execution().device, "cpu").round(repetition=0, steps=1)
    assert (timing.recipe, timing.images) == ("DeepInfomaxPytorch", 64)
    assert timing.step > 0
    assert "torchvision.transforms" not in sys.modules
    assert "models" not in sys.modules
