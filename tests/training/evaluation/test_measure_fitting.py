"""What all measures share: the best epoch is kept, few images get enough steps, dead dimensions count."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.training.measured import encoder, images, inputs, noise
from training.evaluation.measures import inputs as subjects
from training.evaluation.measures.fitting import FitSchedule, fit, parts
from training.evaluation.measures.inputs import draw
from training.evaluation.measures.spread import dead_share
from training.recipe import OptimiserRecipe
from training.system.signals import Interruption


class Counter(nn.Module):
    """One weight that every step lowers."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))


def test_the_weights_of_the_best_epoch_are_kept() -> None:
    network = Counter()
    seen: list[float] = []
    values = iter([1.0, 5.0, float("nan"), 2.0])

    def score() -> float:
        assert not network.training
        seen.append(network.weight.item())
        return next(values)

    best = fit(
        network,
        torch.arange(800),
        lambda _: network.weight.sum(),
        score,
        FitSchedule(3, OptimiserRecipe(), batch_size=8),
        seed=0,
        title="counter",
        interruption=Interruption(),
    )
    assert best == 5
    assert len(set(seen)) == 4
    assert network.weight.item() == seen[1]


@pytest.mark.parametrize(("rows", "size", "steps"), [(20_000, 256, 780), (500, 62, 304), (9, 2, 300)])
def test_few_rows_get_enough_steps(rows: int, size: int, steps: int) -> None:
    network = Counter()
    sizes: list[int] = []

    def loss(batch: Tensor) -> Tensor:
        sizes.append(len(batch))
        return network.weight.sum()

    schedule = FitSchedule(10, OptimiserRecipe())
    fit(
        network,
        torch.arange(rows),
        loss,
        lambda: 0.0,
        schedule,
        seed=0,
        title="counter",
        interruption=Interruption(),
    )
    assert set(sizes) == {size}
    assert len(sizes) == steps


def test_a_part_is_held_out_for_choices() -> None:
    fitted, chosen = parts(100, seed=0)
    assert sorted([*fitted.tolist(), *chosen.tolist()]) == list(range(100))
    assert len(chosen) == 10


def test_images_are_drawn_across_a_sorted_file() -> None:
    labels = np.repeat(np.arange(4), 100)
    drawn = draw(images(noise(400, 8, seed=0), labels), 80, seed=0)
    assert drawn.labels is not None
    assert len(drawn) == 80
    assert min(np.bincount(drawn.labels, minlength=4)) > 8


def test_large_maps_are_looked_at_in_fewer_images(monkeypatch: pytest.MonkeyPatch) -> None:
    frozen = encoder(features=lambda pixels: np.zeros((len(pixels), 16, 4, 4)))
    toy = inputs(frozen, images(noise(300, 8, seed=0)), images(noise(100, 8, seed=1)))
    monkeypatch.setattr(subjects, "_MAP_BYTES", 200 * 16 * 4 * 4 * 4)
    assert toy.maps == (150, 50)
    assert [len(layer) for layer in (toy.features.training, toy.features.test)] == [150, 50]


def test_dimensions_that_hardly_vary_are_dead() -> None:
    code = torch.randn(1_000, 4, generator=torch.Generator().manual_seed(0)) * torch.tensor([1, 1, 1e-2, 0])
    assert dead_share(code) == 0.5
    assert dead_share(torch.ones(10, 4)) == 1
