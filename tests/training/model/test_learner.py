"""The learner: every combination of a recipe's parts trains, and its parts are weighed and parted rightly."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from training.errors import TrainingError
from training.loop.run import Run
from training.model.critics import CRITICS
from training.model.encoders import ENCODERS
from training.model.estimators import ESTIMATORS
from training.model.learner import Learner
from training.recipe import Recipe

OBJECTIVES: dict[str, dict[str, Any]] = {
    "local": {"local_weight": 1.0, "maps": {"features": 0.5, "conv": 1.0}, "positions": 4},
    "global": {"local_weight": 0.0, "global_weight": 1.0},
    "pairwise": {"local_weight": 0.0, "pairwise_weight": 1.0},
    "prior": {"local_weight": 0.1, "prior_weight": 0.1},
}


def recipe(views: int = 1, **changes: Any) -> Recipe:
    """A small recipe of the paper's encoder, with changes."""
    fields: dict[str, Any] = {
        "name": "test",
        "epochs": 1,
        "batch_size": 4,
        "views": views,
        "encoder": {"name": "dim32", "code_units": 6},
        "critic": {"units": 8},
        "augmentation": {} if views == 2 else None,
    }
    return Recipe.model_validate(fields | changes)


def images(count: int = 4, size: int = 32) -> Tensor:
    """uint8 [N, H, W, 3]."""
    generator = Generator().manual_seed(0)
    return torch.randint(0, 256, (count, size, size, 3), dtype=torch.uint8, generator=generator)


def unit(count: int = 4) -> Tensor:
    """float32 [N, 3, 32, 32] on the scale 0..1."""
    return images(count).permute(0, 3, 1, 2).float() / 255


def steps_reach_every_parameter(chosen: Recipe, folder: Path) -> None:
    """Two steps have finite values, and a finite gradient in every parameter."""
    run = Run(chosen, folder, total_steps=2)
    for _ in range(2):
        values = run.take_step(images())
        assert all(math.isfinite(value) for value in values.values())
        for name, parameter in run.learner.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("views", [1, 2])
@pytest.mark.parametrize("critic", CRITICS)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_every_estimator_and_critic_trains_all_objectives_at_once(
    estimator: str, critic: str, views: int, tmp_path: Path
) -> None:
    objective = {"global_weight": 1.0, "local_weight": 1.0, "pairwise_weight": views - 1, "prior_weight": 0.1}
    chosen = recipe(
        views, critic={"name": critic, "units": 8}, objective={"estimator": estimator, **objective}
    )
    steps_reach_every_parameter(chosen, tmp_path)


@pytest.mark.parametrize(
    ("views", "objective"),
    [(views, name) for views in (1, 2) for name in OBJECTIVES if (views, name) != (1, "pairwise")],
)
def test_every_objective_trains_alone(views: int, objective: str, tmp_path: Path) -> None:
    steps_reach_every_parameter(recipe(views, objective=OBJECTIVES[objective]), tmp_path)


@pytest.mark.parametrize("name", ENCODERS)
def test_every_encoder_trains(name: str, tmp_path: Path) -> None:
    size = ENCODERS[name](16).input_size
    run = Run(recipe(2, encoder={"name": name}, input_size=size), tmp_path, total_steps=2)
    before = [parameter.clone() for parameter in run.learner.encoder.parameters()]
    for _ in range(2):  # residual branches start closed: what is inside moves from the second step
        run.take_step(images(size=size))
    changed = [
        not torch.equal(old, new) for old, new in zip(before, run.learner.encoder.parameters(), strict=True)
    ]
    assert all(changed)


@pytest.mark.parametrize("views", [1, 2])
def test_the_first_steps_take_the_small_views_that_were_asked_for(views: int, tmp_path: Path) -> None:
    chosen = recipe(
        views,
        augmentation={},
        encoder={"name": "residual32", "code_units": 6},
        small_views={"size": 20, "share": 0.5},
    )
    run, sizes = Run(chosen, tmp_path, total_steps=4), []
    run.learner.encoder.register_forward_pre_hook(lambda _, inputs: sizes.append(tuple(inputs[0].shape[2:])))
    for _ in range(4):
        run.take_step(images())
    assert sizes == [(20, 20)] * 2 + [(32, 32)] * 2


def test_the_loss_is_the_weighted_sum_of_its_terms() -> None:
    chosen = recipe(
        2,
        objective={
            "local_weight": 2.0,
            "maps": {"features": 0.5, "conv": 3.0},
            "global_weight": 0.7,
            "pairwise_weight": 1.5,
            "prior_weight": 0.1,
        },
    )
    torch.manual_seed(0)
    loss, values, codes = Learner(chosen)((unit(), unit().flip(3)), Generator().manual_seed(0))
    weights = {"local_features": 1.0, "local_conv": 6.0, "global": 0.7, "pairwise": 1.5, "prior": 0.1}
    total = sum(weight * values[f"{name}_loss"] for name, weight in weights.items())
    assert loss.item() == pytest.approx(total, rel=1e-5)
    assert codes.shape == (8, 6)
    assert "local_features_nats" in values
    assert "prior_nats" not in values


@pytest.mark.parametrize("views", [1, 2])
def test_permuting_the_batch_leaves_the_loss(views: int) -> None:
    chosen = recipe(views, objective={"global_weight": 1.0, "pairwise_weight": float(views - 1)})
    torch.manual_seed(0)
    learner = Learner(chosen)
    batch = [unit(8), unit(8).flip(3)][:views]
    order = torch.randperm(8, generator=Generator().manual_seed(1))
    generator = Generator().manual_seed(0)
    loss, _, codes = learner(batch, generator)
    permuted, _, permuted_codes = learner([view[order] for view in batch], generator)
    assert permuted.item() == pytest.approx(loss.item(), rel=1e-4)
    torch.testing.assert_close(permuted_codes[:8], codes[:8][order], atol=1e-4, rtol=1e-3)


def test_the_patches_of_each_view_are_scored_against_the_code_of_the_other() -> None:
    torch.manual_seed(0)
    learner = Learner(recipe(2))
    views = (unit(), unit().roll(5, dims=3))
    generator = Generator().manual_seed(0)
    _, values, _ = learner(views, generator)
    encoding = learner.encoder(torch.cat(views))
    first, second = encoding.features.chunk(2)
    first_code, second_code = encoding.code.chunk(2)
    local = learner.local["features"]
    across = [local(first, second_code, generator), local(second, first_code, generator)]
    within = [local(first, first_code, generator), local(second, second_code, generator)]
    assert values["local_features_loss"] == pytest.approx(
        sum(one.loss.item() for one in across) / 2, rel=1e-5
    )
    assert values["local_features_loss"] != pytest.approx(
        sum(one.loss.item() for one in within) / 2, rel=1e-3
    )


def test_encoder_and_adversary_share_no_parameter_and_miss_none() -> None:
    learner = Learner(recipe(objective={"prior_weight": 0.1}))
    ours, theirs = set(learner.minimised()), set(learner.adversary())
    assert not ours & theirs
    assert ours | theirs == set(learner.parameters())
    assert theirs
    assert not Learner(recipe()).adversary()
    with pytest.raises(ValueError, match="no prior"):
        Learner(recipe()).adversary_loss(torch.zeros(4, 6), Generator())


def test_the_encoders_loss_leaves_no_gradient_in_its_adversary() -> None:
    learner = Learner(recipe(objective={"prior_weight": 0.1}))
    loss, _, codes = learner([unit()], Generator().manual_seed(0))
    loss.backward()
    assert all(parameter.grad is None for parameter in learner.adversary())
    ours = [parameter.grad for parameter in learner.minimised()]
    before = [gradient.clone() for gradient in ours if gradient is not None]
    learner.adversary_loss(codes, Generator().manual_seed(0))[0].backward()
    after = [parameter.grad for parameter in learner.minimised()]
    assert len(before) == len(after)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True) if b is not None)


def test_a_step_moves_the_adversary_and_says_how_it_stands(tmp_path: Path) -> None:
    run = Run(recipe(objective={"prior_weight": 0.1}), tmp_path, total_steps=3)
    before = [parameter.clone() for parameter in run.learner.adversary()]
    values = run.take_step(images())
    after = run.learner.adversary()
    assert all(not torch.equal(old, new) for old, new in zip(before, after, strict=True))
    assert {"prior_loss", "adversary_loss", "adversary_accuracy"} <= set(values)
    assert 0 <= values["adversary_accuracy"] <= 1


def test_a_resumed_game_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    chosen = recipe(objective={"prior_weight": 0.1, "positions": 8})
    batches = [images().roll(shift, dims=1) for shift in range(4)]
    whole = Run(chosen, tmp_path / "whole", total_steps=4)
    for batch in batches:
        whole.take_step(batch)
    first = Run(chosen, tmp_path / "parted", total_steps=4)
    first.begin()
    for batch in batches[:2]:
        first.take_step(batch)
    first.save()
    second = Run(chosen, tmp_path / "parted", total_steps=4)
    second.resume()
    for batch in batches[2:]:
        second.take_step(batch)
    for name, value in whole.learner.state_dict().items():
        assert torch.equal(value, second.learner.state_dict()[name]), name


def test_a_loss_that_is_not_finite_ends_the_run_in_one_sentence(tmp_path: Path) -> None:
    run = Run(recipe(), tmp_path, total_steps=2)
    with torch.no_grad():
        next(run.learner.encoder.parameters()).fill_(float("nan"))
    with pytest.raises(TrainingError, match=r"The loss is nan at step 1.*lower optimiser\.learning_rate"):
        run.take_step(images())
