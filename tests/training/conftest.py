"""What tests of training share."""

from pathlib import Path

import pytest
import torch

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Tests are small: a second thread gains nothing and, on a busy machine, waits spinning for the first."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def sample_train() -> Path:
    """300 labelled CIFAR-10 images, 30 of each class; see tests/data/README.md."""
    return DATA / "sample_train.parquet"


@pytest.fixture(scope="session")
def sample_test() -> Path:
    """100 labelled CIFAR-10 images, 10 of each class, none of them in `sample_train`."""
    return DATA / "sample_test.parquet"
