"""The limit of the cores, where a process that measures it dies."""

from pathlib import Path

import pytest

from bench.serving.limit import measure
from bench.serving.model import open_model


def test_a_process_that_dies_ends_the_measurement(
    tiny_models: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RuntimeError, match="A process that measures the limit died"):
        measure(open_model(tiny_models, "tiny", "fp32"), {"broken": (b"no image",)}, 1, 0.01)
    assert "ImageError" in capfd.readouterr().err
