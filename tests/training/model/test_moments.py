"""Mean and covariance are those of all vectors together, however far from zero these lie."""

import torch
from torch import Generator

from training.model.encoders.moments import Moments


def test_batches_add_up_to_the_moments_of_the_whole() -> None:
    generator = Generator().manual_seed(0)
    mixed = torch.randn(5, 5, generator=generator)
    vectors = torch.randn(1_000, 5, generator=generator) @ mixed + torch.tensor([0.0, 1, -30, 400, 5000])
    moments = Moments()
    for batch in vectors.split(77):
        moments.add(batch)
    assert moments.count == 1_000
    torch.testing.assert_close(moments.mean, vectors.double().mean(dim=0).float())
    expected = torch.cov(vectors.T.double(), correction=0).float()
    # Numbers around 5,000 have steps of 0.0005 themselves.
    torch.testing.assert_close(moments.covariance, expected, atol=2e-3, rtol=1e-4)
