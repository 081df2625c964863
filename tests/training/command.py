"""The `infomax` command as users run it: within this process, or as a process of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from infomax import command

EXECUTABLE = str(Path(sys.executable).parent / "infomax")

# The smallest recipe that has every part of the shipped one: two views, two maps, both objectives.
RECIPE = """
name = "sample"
epochs = 2
batch_size = 64
views = 2
[encoder]
name = "dim32"
code_units = 16
[critic]
units = 32
temperature = 0.1
[objective]
maps = { features = 0.5, conv = 1.0 }
positions = 4
pairwise_weight = 1.0
[augmentation]
min_crop = 0.5
"""
# Thirty-three small steps: a signal that arrives at the first of them meets a run that has far to go.
MANY_STEPS = (
    RECIPE.replace("batch_size = 64", "batch_size = 8")
    .replace("positions = 4", "positions = 1")
    .replace("epochs = 2", "epochs = 1")
)


@dataclass(frozen=True)
class Answer:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """The one line that a failed command leaves behind its progress."""
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert self.status == 1, self.err
        assert len(lines) == 1, self.err
        assert self.err.endswith(lines[0] + "\n"), self.err
        assert "Traceback" not in self.err
        return lines[0].removeprefix("error: ")


class Infomax:
    """Runs `infomax` commands in this process, with a cache of their own."""

    def __init__(self, capture: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch, cache: Path) -> None:
        self._capture, self._patch = capture, patch
        patch.setenv("XDG_CACHE_HOME", str(cache))

    def __call__(self, *arguments: object) -> Answer:
        """Run one command to its end."""
        self._capture.readouterr()
        status = _main(self._patch, *arguments)
        captured = self._capture.readouterr()
        return Answer(status, captured.out, captured.err)


def run(patch: pytest.MonkeyPatch, *arguments: object, cache: Path) -> None:
    """Run a command in this process that has to succeed, where a fixture has no other's output to keep."""
    patch.setenv("XDG_CACHE_HOME", str(cache))
    assert _main(patch, *arguments) == 0


def _main(patch: pytest.MonkeyPatch, *arguments: object) -> int:
    patch.setattr(sys, "argv", ["infomax", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        command.main()
    # sys.exit(None) and sys.exit(0) both are success.
    return int(ended.value.code or 0)


def start(
    *arguments: object, cache: Path, preexec_fn: Callable[[], None] | None = None
) -> subprocess.Popen[str]:
    """Start a command as a process, on one thread like the tests, so that its sums are the same.

    Args:
        arguments: of the command.
        cache: folder of decoded images.
        preexec_fn: as subprocess has it.
    """
    return subprocess.Popen(
        [EXECUTABLE, *map(str, arguments)],
        env=os.environ | {"XDG_CACHE_HOME": str(cache), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=preexec_fn,
    )
