"""What tests of training share."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Tests are small: a second thread gains nothing and, on a busy machine, waits spinning for the first."""
    torch.set_num_threads(1)
