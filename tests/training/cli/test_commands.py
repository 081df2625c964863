"""The offline commands where nothing is trained: listed, cheap to load, clear about what is missing."""

import subprocess
import sys
from pathlib import Path

import pytest

from contract.extras import installation

COMMANDS = ("train", "probe", "measure", "report", "utility", "reproduce", "export", "convert-cifar")
# As on a serving machine: the import system finds no such package.
WITHOUT_TORCH = "import sys; sys.modules.update(dict.fromkeys(('torch', 'tensorboard', 'onnxscript')));"
MAIN = "from infomax.command import main; main()"


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)


def test_the_list_of_commands_needs_no_torch() -> None:
    answer = python(WITHOUT_TORCH + MAIN, "--help")
    assert answer.returncode == 0, answer.stderr
    for command in COMMANDS:
        assert f" {command} " in answer.stdout


def test_loading_the_commands_loads_neither_torch_nor_onnx_runtime() -> None:
    answer = python("import sys, training.cli; print({'torch', 'onnxruntime', 'pyarrow'} & set(sys.modules))")
    assert answer.stdout.strip() == "set()"


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "--recipe", "r.toml", "--data", "photos", "--out", "run"),
        ("probe", "--run", "run", "--train", "a", "--test", "b"),
    ],
    ids=["train", "probe"],
)
def test_what_is_missing_is_said_in_one_sentence(arguments: tuple[str, ...], tmp_path: Path) -> None:
    answer = python(WITHOUT_TORCH + MAIN, *arguments)
    assert answer.returncode == 1
    assert answer.stderr == (
        f"error: infomax {arguments[0]} needs torch, tensorboard, onnxscript, which this installation lacks. "
        f"{installation('training')}\n"
    )


@pytest.mark.parametrize("command", ["probe", "export", "report"])
def test_what_is_loaded_for_seconds_is_said_before(command: str, tmp_path: Path) -> None:
    """PyTorch is found, and fails when it is imported: what is printed stands before that."""
    (tmp_path / "torch.py").write_text("raise OSError('stop')")
    answer = python(f"import sys; sys.path.insert(0, {str(tmp_path)!r});" + MAIN, command, "--help")
    assert answer.stderr.startswith(f"infomax {command}: loading PyTorch\n")
    assert answer.stderr.endswith("OSError: stop\n")


def test_converting_an_archive_needs_no_torch(tmp_path: Path) -> None:
    answer = python(WITHOUT_TORCH + MAIN, "convert-cifar", "no.tar.gz", "--out", str(tmp_path))
    assert answer.stderr == "error: There is no no.tar.gz; it is the official CIFAR-10 archive.\n"
