"""What several test packages share."""

import os
from pathlib import Path

import pytest

from tests.tiny_model import build_tiny_model


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder that holds `tiny/1`; read-only for tests."""
    models = tmp_path_factory.mktemp("models")
    build_tiny_model(models)
    return models


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with the full data sets; tests that need it also carry the marker `shared_data`."""
    folder = os.environ.get("INFOMAX_TEST_DATA")
    if folder is None:
        pytest.skip("INFOMAX_TEST_DATA names no folder with the full data sets")
    return Path(folder)
