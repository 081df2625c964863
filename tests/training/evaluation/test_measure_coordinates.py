"""Coordinates: features that say where they are, and features that do not."""

import pytest
import torch
from torch import Generator

from training.evaluation.measures.coordinates import Task, absolute, accuracy, relative
from training.evaluation.measures.fitting import FitSchedule
from training.evaluation.measures.inputs import Layers
from training.recipe import OptimiserRecipe
from training.system.signals import Interruption

SIDE = 4
TASKS = [absolute(SIDE), relative(SIDE)]
SCHEDULE = FitSchedule(10, OptimiserRecipe(learning_rate=1e-2), batch_size=64)


def code() -> Layers:
    generator = Generator().manual_seed(0)
    return Layers(torch.randn(600, 2, generator=generator), torch.randn(100, 2, generator=generator))


def measured(task: Task, features: Layers, codes: Layers) -> float:
    return accuracy(task, features, codes, seed=0, interruption=Interruption(), schedule=SCHEDULE)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_features_that_are_their_place_tell_it(task: Task) -> None:
    place = torch.eye(SIDE**2).view(1, SIDE**2, SIDE, SIDE)
    features = Layers(place.expand(600, -1, -1, -1), place.expand(100, -1, -1, -1))
    assert measured(task, features, code()) == 1


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_features_that_are_alike_everywhere_are_at_chance(task: Task) -> None:
    features = Layers(torch.ones(600, 3, SIDE, SIDE), torch.ones(100, 3, SIDE, SIDE))
    assert measured(task, features, code()) <= task.chance + 0.02


def test_the_code_helps_to_find_the_place() -> None:
    """Features grow along the cells of an image or fall; only the code says which of the two."""
    generator = Generator().manual_seed(1)
    places = torch.arange(float(SIDE**2))
    ramp = (places - places.mean()).view(1, 1, SIDE, SIDE)
    signs = [torch.randint(0, 2, (count, 1), generator=generator) * 2.0 - 1 for count in (600, 100)]
    features = Layers(*(ramp * sign.view(-1, 1, 1, 1) for sign in signs))
    blind = Layers(torch.zeros(600, 1), torch.zeros(100, 1))
    assert measured(absolute(SIDE), features, Layers(*signs)) > 0.9
    assert measured(absolute(SIDE), features, blind) < 0.65


def test_displacements_are_told_apart_by_their_class() -> None:
    task = relative(3)
    cells = torch.tensor([[[0, 8], [8, 0], [4, 5], [3, 4], [0, 1], [4, 7]]])
    down_right, up_left, right, right_too, right_again, down = task.answers(cells)[0].tolist()
    assert right == right_too == right_again
    assert len({down_right, up_left, right, down}) == 4
    assert (up_left, down_right, task.classes) == (0, 24, 25)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_chance_is_the_share_of_the_most_frequent_answer(task: Task) -> None:
    cells = task.draw(1_000, 100, Generator().manual_seed(0))
    share = task.answers(cells).flatten().bincount(minlength=task.classes).max() / 100_000
    assert share.item() == pytest.approx(task.chance, rel=0.05)
    if task.cells == 2:
        assert (cells[:, :, 0] != cells[:, :, 1]).all()
