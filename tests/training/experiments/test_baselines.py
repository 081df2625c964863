"""Baselines: each learns what it says, and its terms are what the literature says."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Generator, Tensor
from torch.distributions import Normal, kl_divergence

from training.experiments.baselines import Autoencoder, NoiseAsTargets, Supervised, VariationalAutoencoder
from training.experiments.baselines.decoder import ImageDecoder
from training.experiments.baselines.variational import kl_to_standard_normal
from training.loop.run import Run
from training.model.encoders import Encoder, build_encoder
from training.model.trainable import Trainable
from training.recipe import EncoderRecipe, Recipe

CODE_UNITS, COUNT = 8, 16
RECIPE = Recipe.model_validate(
    {
        "name": "toy",
        "epochs": 1,
        "views": 1,
        "encoder": {"name": "dim32", "code_units": CODE_UNITS},
        "optimiser": {"learning_rate": 1e-3, "warmup_share": 0.0},
    }
)
LABELS = torch.arange(COUNT) % 4


def encoder() -> Encoder:
    return build_encoder(EncoderRecipe(name="dim32", code_units=CODE_UNITS), 32)


def images() -> Tensor:
    """uint8 [N, 32, 32, 3]: one colour each, with noise."""
    generator = Generator().manual_seed(0)
    colour = torch.randint(30, 220, (COUNT, 1, 1, 3), generator=generator)
    return (colour + torch.randint(0, 30, (COUNT, 32, 32, 3), generator=generator)).to(torch.uint8)


BASELINES: dict[str, Callable[[Recipe], Trainable]] = {
    "supervised": lambda _: Supervised(encoder(), CODE_UNITS, LABELS),
    "autoencoder": lambda _: Autoencoder(encoder(), CODE_UNITS),
    "vae": lambda _: VariationalAutoencoder(encoder(), 1024, CODE_UNITS),
    "nat": lambda _: NoiseAsTargets(encoder(), CODE_UNITS, COUNT, seed=0),
}


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_learns_and_every_parameter_takes_part(name: str, tmp_path: Path) -> None:
    run = Run(RECIPE, tmp_path, total_steps=12, build=BASELINES[name])
    rows = torch.arange(COUNT)
    losses = []
    for _ in range(12):
        values = run.take_step(images(), rows)
        assert all(math.isfinite(value) for value in values.values())
        losses.append(values["loss"])
        for parameter_name, parameter in run.learner.named_parameters():
            assert parameter.grad is not None, parameter_name
            assert parameter.grad.isfinite().all(), parameter_name
    assert losses[-1] < losses[0] - 0.01
    assert losses[-1] == min(losses)


def test_the_supervised_encoder_knows_its_labels_by_row(tmp_path: Path) -> None:
    run = Run(RECIPE, tmp_path, total_steps=10, build=BASELINES["supervised"])
    order = torch.arange(COUNT).flip(0)
    for _ in range(10):
        values = run.take_step(images()[order], order)
    assert values["accuracy"] == 1.0
    assert run.take_step(images(), (torch.arange(COUNT) + 1) % COUNT)["accuracy"] == 0.0


def test_the_divergence_is_that_of_torch() -> None:
    generator = Generator().manual_seed(0)
    mean, log_variance = torch.randn(5, CODE_UNITS, generator=generator), torch.randn(5, CODE_UNITS)
    expected = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)).sum(dim=1)
    assert torch.allclose(kl_to_standard_normal(mean, log_variance), expected, atol=1e-5)
    assert kl_to_standard_normal(torch.zeros(1, 3), torch.zeros(1, 3)).item() == 0.0


def test_the_loss_of_the_vae_is_minus_the_evidence_lower_bound() -> None:
    torch.manual_seed(0)
    vae = BASELINES["vae"](RECIPE)
    views = [images().permute(0, 3, 1, 2).float() / 255]
    loss, values, _ = vae(views, Generator().manual_seed(0), torch.arange(COUNT))
    # A normal density with the best variance, at a point whose squared distance is that variance.
    deviation = math.sqrt(values["error"])
    density = Normal(0.0, deviation).log_prob(torch.tensor(deviation)).item()
    assert loss.item() == pytest.approx(-density + values["kl_nats"] / (3 * 32 * 32), abs=1e-5)


def test_decoded_images_have_the_size_and_the_range_of_images() -> None:
    decoded = ImageDecoder(CODE_UNITS)(torch.randn(3, CODE_UNITS))
    assert decoded.shape == (3, 3, 32, 32)
    assert 0 <= decoded.min() < decoded.max() <= 1


def test_targets_are_exchanged_for_the_better_and_never_doubled() -> None:
    torch.manual_seed(0)
    nat = NoiseAsTargets(encoder(), CODE_UNITS, 2 * COUNT, seed=0)
    rows = torch.arange(COUNT) * 2
    before = nat.owned.clone()
    views = [images().permute(0, 3, 1, 2).float() / 255]
    loss, values, code = nat(views, Generator(), rows)
    as_dealt = (F.normalize(code, dim=1) - nat._targets[before[rows]]).square().sum(dim=1).mean()
    assert loss.item() < as_dealt.item()
    assert values["exchanged"] > 0.5
    assert sorted(nat.owned.tolist()) == list(range(2 * COUNT))
    untouched = torch.arange(COUNT) * 2 + 1
    assert torch.equal(nat.owned[untouched], before[untouched])


def test_a_checkpoint_carries_who_owns_which_target(tmp_path: Path) -> None:
    run = Run(RECIPE, tmp_path, total_steps=4, build=BASELINES["nat"])
    run.begin()
    run.take_step(images(), torch.arange(COUNT))
    run.save()
    resumed = Run(RECIPE, tmp_path, total_steps=4, build=BASELINES["nat"])
    resumed.resume()
    for one in (run, resumed):
        one.take_step(images(), torch.arange(COUNT))
    for name, value in run.learner.state_dict().items():
        assert torch.equal(value, resumed.learner.state_dict()[name]), name
