"""The benchmark of other methods: one encoder, one budget, losses loaded alone."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Generator, nn

from bench.training.peers import results
from bench.training.peers.contest import contest
from bench.training.peers.lightly import NoLightlyError, loss_module
from bench.training.peers.methods import OURS, Predicting, builders, perceptron
from bench.training.peers.results import Score, markdown
from contract.preprocessing import Preprocessing
from training.data import load
from training.loop.execution import Execution
from training.loop.run import Run
from training.recipe import Recipe

SAMPLE = Path(__file__).parents[1] / "data" / "sample_train.parquet"
RECIPE = Recipe.model_validate(
    {
        "name": "tiny",
        "epochs": 1,
        "batch_size": 16,
        "views": 2,
        "encoder": {"name": "dim32", "code_units": 4, "whitened": True},
        "critic": {"units": 4},
        "augmentation": {},
    }
)
# Of the form of the package: a root that cannot be imported, and losses that import from their siblings.
FILES = {
    "__init__.py": "import torchvision_of_another_torch",
    "models/__init__.py": "import torchvision_of_another_torch",
    "models/utils.py": "SCALE = 1.0",
    "loss/ntx_ent_loss.py": """
from torch import nn
from lightly.models import utils

class NTXentLoss(nn.Module):
    def __init__(self, temperature):
        super().__init__()
        self.scale = utils.SCALE / temperature

    def forward(self, first, second):
        return self.scale * (first - second).square().mean()
""",
    "loss/negative_cosine_similarity.py": """
from torch import nn
from torch.nn.functional import cosine_similarity

class NegativeCosineSimilarity(nn.Module):
    def forward(self, first, second):
        return -cosine_similarity(first, second, dim=1).mean()
""",
    "loss/vicreg_loss.py": "from torch.nn import MSELoss as VICRegLoss",
    "loss/barlow_twins_loss.py": "from torch.nn import MSELoss as BarlowTwinsLoss",
    "loss/emp_ssl_loss.py": """
def tcr_loss(views, eps):
    return views.square().sum()

def invariance_loss(views):
    return 0 * views.sum()
""",
}


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    root = tmp_path / "lib" / "python3.11" / "site-packages" / "lightly"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return tmp_path


def test_losses_are_loaded_without_the_package_that_they_are_in(environment: Path, tmp_path: Path) -> None:
    loss = loss_module("ntx_ent_loss", environment).NTXentLoss(temperature=0.5)
    assert float(loss(torch.ones(2, 3), torch.zeros(2, 3))) == 2
    with pytest.raises(NoLightlyError, match=r"holds no lightly\.loss\.dino_loss"):
        loss_module("dino_loss", environment)
    with pytest.raises(NoLightlyError, match="make bench-peers"):
        builders(tmp_path / "nothing")


def test_each_method_trains_the_same_encoder_by_a_loss_of_its_own(environment: Path) -> None:
    methods = builders(environment)
    assert next(iter(methods)) == OURS
    generator = Generator().manual_seed(0)
    views = [torch.rand(16, 3, 32, 32, generator=generator) for _ in range(2)]
    shapes, losses = set(), set()
    for build in methods.values():
        torch.manual_seed(0)
        learner = build(RECIPE)
        shapes.add(tuple((name, tuple(value.shape)) for name, value in learner.encoder.state_dict().items()))
        loss, _, codes = learner(views, generator, torch.arange(16))
        loss.backward()
        assert codes.shape == (32, 4)
        # Peers end in fc: the code behind it is ours alone.
        assert all(
            parameter.grad is not None
            for name, parameter in learner.encoder.named_parameters()
            if parameter.requires_grad and not name.startswith("code")
        )
        losses.add(round(float(loss.detach()), 4))
    assert len(shapes) == 1
    # The two stand-ins are one loss, and their projectors are drawn alike.
    assert len(losses) == len(methods) - 1


def test_the_coding_rate_is_raised(environment: Path) -> None:
    learner = builders(environment)["EMP-SSL"](RECIPE)
    views = [torch.rand(8, 3, 32, 32) for _ in range(2)]
    loss, _, _ = learner(views, Generator(), torch.arange(8))
    # Of 16 unit vectors, with nothing else in the stand-in's loss.
    assert float(loss.detach()) == pytest.approx(-16, rel=1e-4)


def test_the_target_of_byol_follows_slowly_and_is_not_trained() -> None:
    torch.manual_seed(0)
    cosine = nn.CosineSimilarity()
    learner = Predicting(
        RECIPE, lambda units: perceptron(units, 8, 2), lambda one, other: -cosine(one, other).mean(), 8
    )
    run = Run(RECIPE, Path(), 10, lambda _: learner, Execution())
    images = torch.randint(0, 256, (16, 32, 32, 3), dtype=torch.uint8)
    run.take_step(images)
    (target,) = learner._targets
    assert not {id(each) for each in target.parameters()} & {id(each) for each in learner.parameters()}
    online = [*learner.encoder.parameters(), *learner.projector.parameters()]
    before = [(slow.clone(), fast.clone()) for slow, fast in zip(target.parameters(), online, strict=True)]
    run.take_step(images)
    for slow, (was, fast) in zip(target.parameters(), before, strict=True):
        assert not slow.requires_grad
        torch.testing.assert_close(slow, was + 0.01 * (fast - was))


def test_a_training_ends_with_its_processor_seconds(environment: Path) -> None:
    images = load(SAMPLE, Preprocessing(height=32, width=32)).sample(120, 0)
    score = contest("SimCLR", builders(environment)["SimCLR"], RECIPE, images, 0.0, Execution())
    assert (score.steps, score.budget) == (1, 0)
    assert score.processor_seconds > 0
    assert score.passes == pytest.approx(16 / 108)
    assert 0 <= score.linear_conv <= 1


def score(method: str, seed: int, accuracy: float) -> Score:
    return Score(
        method=method, seed=seed, recipe="{}", images=100, budget=60, precision="float32", steps=10, passes=2,
        processor_seconds=60.5,
        linear_conv=accuracy, linear_fc=1 - accuracy, neighbours=0.3,
    )  # fmt: skip


def test_the_table_says_who_is_first_by_each_figure() -> None:
    table = markdown([score(OURS, 0, 0.6), score(OURS, 1, 0.7), score("BYOL", 0, 0.5)], "make bench-peers")
    assert "| infomax | 65.0 ± 7.1 | 35.0 ± 7.1 | 30.0 ± 0.0 | 10 | 2.0 | 60 | 0, 1 |" in table
    assert "- First by linear conv: infomax, 65.0 %." in table
    assert "- First by linear fc: BYOL, 50.0 %." in table


def test_a_score_of_another_budget_is_made_anew(tmp_path: Path) -> None:
    results.write(tmp_path, score("Barlow Twins", 0, 0.5))
    own = {"recipe": "{}", "images": 100, "budget": 60, "precision": "float32"}

    def read(**made_by: Any) -> Score | None:
        return results.read(tmp_path, "Barlow Twins", 0, **{**own, **made_by})

    assert read() == score("Barlow Twins", 0, 0.5)
    for other in ({"recipe": "{ }"}, {"images": 99}, {"budget": 61}, {"precision": "bfloat16"}):
        assert read(**other) is None
