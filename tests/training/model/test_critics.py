"""Critics: the score of a pair depends on that pair alone, and is what the paper's figures draw."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Generator, Tensor

from training.errors import RecipeError
from training.model.critics import CRITICS, build_critic
from training.model.critics.concat_and_convolve import ConcatAndConvolve
from training.model.critics.encode_and_dot import EncodeAndDot

CHANNELS, TARGET_UNITS, UNITS = 6, 5, 8


def batch(images: int = 4, others: int = 3, patches: int = 7) -> tuple[Tensor, Tensor]:
    """Patches [A, C, P] and global vectors [B, Y]."""
    generator = Generator().manual_seed(0)
    return (
        torch.randn(images, CHANNELS, patches, generator=generator),
        torch.randn(others, TARGET_UNITS, generator=generator),
    )


@pytest.mark.parametrize("temperature", [None, 0.5])
@pytest.mark.parametrize("name", CRITICS)
def test_all_pairs_at_once_are_the_pairs_one_by_one(name: str, temperature: float | None) -> None:
    torch.manual_seed(0)
    critic = build_critic(name, CHANNELS, TARGET_UNITS, UNITS, temperature).eval()
    patches, target = batch()
    scores = critic(patches, target)
    assert scores.shape == (4, 3, 7)
    for a in range(4):
        for b in range(3):
            for p in range(7):
                alone = critic(patches[a : a + 1, :, p : p + 1], target[b : b + 1])
                torch.testing.assert_close(scores[a, b, p], alone.squeeze(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", CRITICS)
def test_permuting_images_and_patches_permutes_scores(name: str) -> None:
    torch.manual_seed(0)
    critic = build_critic(name, CHANNELS, TARGET_UNITS, UNITS, None)
    patches, target = batch()
    rows, columns, places = torch.tensor([2, 0, 3, 1]), torch.tensor([1, 2, 0]), torch.randperm(7)
    torch.testing.assert_close(
        critic(patches[rows][:, :, places], target[columns]),
        critic(patches, target)[rows][:, columns][:, :, places],
    )


def test_encode_and_dot_is_the_inner_product_of_two_encodings() -> None:
    torch.manual_seed(0)
    critic = EncodeAndDot(CHANNELS, TARGET_UNITS, UNITS, None).eval()
    patches, target = batch()
    scores = critic(patches, target)
    local = critic.local(patches[1, :, 4].unsqueeze(0)).squeeze(0)
    global_ = critic.global_(target[2].unsqueeze(0)).squeeze(0)
    torch.testing.assert_close(scores[1, 2, 4], (local * global_).sum())


def test_a_temperature_makes_scores_cosines() -> None:
    torch.manual_seed(0)
    critic = EncodeAndDot(CHANNELS, TARGET_UNITS, UNITS, 0.1).eval()
    patches, target = batch()
    scores = critic(patches, target)
    local = critic.local(patches[1, :, 4].unsqueeze(0))
    cosine = F.cosine_similarity(local, critic.global_(target[2].unsqueeze(0)))
    torch.testing.assert_close(scores[1, 2, 4], cosine.squeeze() / 0.1)
    # The length of its inputs cannot lift a cosine above 1.
    assert critic(1e3 * patches, 1e3 * target).abs().max() <= 1 / 0.1 + 1e-4


def test_concat_and_convolve_is_the_literal_concatenation_and_convolutions() -> None:
    torch.manual_seed(0)
    critic = ConcatAndConvolve(CHANNELS, TARGET_UNITS, UNITS, None)
    patches, target = batch(images=4, others=3, patches=9)
    scores = critic(patches, target)
    layers = (critic.concatenated, critic.hidden, critic.score)
    for a in range(4):
        for b in range(3):
            tiled = target[b].view(1, -1, 1, 1).expand(1, -1, 3, 3)
            values = torch.cat([patches[a].view(1, CHANNELS, 3, 3), tiled], dim=1)
            for layer in layers:
                values = F.conv2d(values, layer.weight.view(*layer.weight.shape, 1, 1), layer.bias)
                values = values if layer is critic.score else values.relu()
            torch.testing.assert_close(scores[a, b], values.flatten())


def test_an_unknown_critic_is_named_with_those_that_exist() -> None:
    with pytest.raises(RecipeError, match="no critic 'bilinear'; choose one of encode_and_dot, concat"):
        build_critic("bilinear", CHANNELS, TARGET_UNITS, UNITS, None)
