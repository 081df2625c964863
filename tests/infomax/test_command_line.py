"""The root command: complete, cheap to load, the same wherever it is called from."""

import subprocess
import sys
from importlib.metadata import version

import pytest

from contract.extras import installation
from infomax.command_line import COMMANDS, load
from tests.training.command import EXECUTABLE

# What takes long to load, or lies on one half's machines alone.
HEAVY = {
    "torch",
    "onnxruntime",
    "onnx",
    "numpy",
    "fastapi",
    "pydantic",
    "rich",
    "pyarrow",
    "matplotlib",
    "psycopg",
}


def infomax(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([EXECUTABLE, *arguments], capture_output=True, text=True)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_says_what_the_command_says_of_itself(name: str) -> None:
    command = load(name, COMMANDS[name])
    text = " ".join((command.help or "").split())
    assert text.startswith(COMMANDS[name].summary.removesuffix("."))
    assert COMMANDS[name].summary.endswith(".")
    assert command.name == name


def test_help_lists_every_command_and_loads_none() -> None:
    script = (
        "import sys\n"
        "from infomax.command import main\n"
        "sys.argv = ['infomax', '--help']\n"
        "try: main()\n"
        "finally: print({name.split('.')[0] for name in sys.modules}, file=sys.stderr)\n"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    for name in COMMANDS:
        assert f"\n  {name} " in answer.stdout
    assert {name for name in HEAVY if f"'{name}'" in answer.stderr} == set()


def test_a_worker_process_loads_no_command_line() -> None:
    script = "import sys, infomax.command; print('typer' in sys.modules, 'contract' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert answer.stdout == "False False\n", answer.stderr


def test_the_version_is_that_of_the_package() -> None:
    assert infomax("--version").stdout == version("infomax") + "\n"


def test_a_misspelt_command_is_answered_with_the_one_that_was_meant() -> None:
    answer = infomax("serv")
    assert answer.returncode == 2
    assert "No such command 'serv'. Did you mean 'serve'" in answer.stderr


def test_a_group_lists_its_commands() -> None:
    assert "\n  new  " in infomax("key").stderr + infomax("key", "--help").stdout


def test_an_expected_failure_is_one_line_and_status_1() -> None:
    answer = infomax("settings", "--max-batch", "0")
    assert answer.returncode == 1
    assert (
        answer.stderr
        == "error: --max-batch='0' is not allowed: Input should be greater than or equal to 1.\n"
    )


def test_the_module_is_the_command() -> None:
    answer = subprocess.run([sys.executable, "-m", "infomax", "--help"], capture_output=True, text=True)
    assert answer.stdout == infomax("--help").stdout


def test_without_the_packages_of_serving_the_command_says_what_to_install() -> None:
    script = "import sys; sys.modules['typer'] = None\nfrom infomax.command import main\nmain()\n"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr == (
        f"error: The infomax command needs typer, which this installation lacks. {installation('serving')}\n"
    )
