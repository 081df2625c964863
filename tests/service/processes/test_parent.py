"""What the parent and its workers load."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("module", "needless"),
    [
        (
            "service.processes.parent",
            ("numpy", "onnx", "onnxruntime", "pyarrow", "PIL", "fastapi", "uvicorn"),
        ),
        # It is loaded by the first request that sends or asks for Arrow.
        ("service.processes.worker", ("pyarrow",)),
    ],
)
def test_a_process_loads_nothing_that_it_does_not_need(module: str, needless: tuple[str, ...]) -> None:
    script = f"import sys, {module}; print([name for name in {needless} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
