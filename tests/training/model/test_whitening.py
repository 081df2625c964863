"""A whitened first layer gives uncorrelated outputs of equal size, whatever the images."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from training.model.whitening import first_convolution, whiten


def blurred(count: int) -> Tensor:
    noise = torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    return F.avg_pool2d(noise, 3, 1, 1)


def outputs(convolution: nn.Conv2d, images: Tensor) -> Tensor:
    with torch.no_grad():
        answer: Tensor = convolution(images)
    return answer.permute(1, 0, 2, 3).flatten(1)


def test_outputs_are_uncorrelated_and_of_one_size() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 16, 4, stride=4, bias=False)
    images = blurred(500)
    before = torch.corrcoef(outputs(layer, images)[:8])
    whiten(layer, images.split(200))
    after = outputs(layer, images)[:8]
    off_diagonal = torch.corrcoef(after) - torch.eye(8)
    assert off_diagonal.abs().max() < 0.01 < (before - torch.eye(8)).abs().max()
    assert after.std(dim=1).max() < 1.02 * after.std(dim=1).min()


def test_every_filter_has_its_opposite_and_the_rest_are_untouched() -> None:
    layer = nn.Conv2d(1, 9, 2, stride=2, bias=False)
    drawn = layer.weight.detach().clone()
    whiten(layer, [blurred(50)[:, :1]])
    assert torch.equal(layer.weight[:4], -layer.weight[4:8])
    assert torch.equal(layer.weight[8], drawn[8])


def test_the_first_convolution_is_the_one_that_sees_the_image() -> None:
    first = nn.Conv2d(3, 4, 3)
    assert first_convolution(nn.Sequential(nn.Sequential(first, nn.ReLU()), nn.Conv2d(4, 4, 3))) is first


def test_images_in_parts_are_those_images() -> None:
    whole, parts = (nn.Conv2d(3, 16, 4, bias=False) for _ in range(2))
    parts.load_state_dict(whole.state_dict())
    whiten(whole, [blurred(60)])
    whiten(parts, blurred(60).split(7))
    assert torch.allclose(whole.weight, parts.weight, atol=1e-5)
