"""The wheel, built and installed into an environment of its own, and commands that run in it, for tests."""

import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from infomax.import_path import PACKAGES
from tests.end_to_end.server import ROOT

PARTS = ("LICENSE", "README.md", "pyproject.toml", "setup.py", "infomax", *PACKAGES)
# Nothing of a developer's shell: no PYTHONPATH, no settings.
KEPT = ("PATH", "LANG", "TMPDIR", "LD_LIBRARY_PATH")


def build(folder: Path) -> Path:
    """Build the wheel from a copy of this tree: a build leaves files behind, which the next would take up."""
    source = folder / "source"
    source.mkdir()
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, source / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, source / part)
    (source / "models").symlink_to(ROOT / "models")
    pip("wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", folder, source)
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(wheel: Path, environment: Path) -> None:
    """Install a wheel into a new virtual environment that takes what the wheel depends on from this one."""
    run = [sys.executable, "-m", "venv", "--without-pip", str(environment)]
    subprocess.run(run, check=True)
    pip("--python", environment / "bin" / "python", "install", "--no-deps", "--no-index", wheel)
    # A folder on the path is no site folder: the editable installation that lies in it stays behind.
    (packages,) = environment.glob("lib/python*/site-packages")
    own = sysconfig.get_paths()
    (packages / "dependencies.pth").write_text(f"{own['purelib']}\n{own['platlib']}\n")


def pip(*arguments: object) -> None:
    """Run pip, with its output in the message of a failure."""
    run = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *map(str, arguments)]
    # What PYTHONPATH shows is no part of the environment to install into.
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(run, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@dataclass(frozen=True)
class Installation:
    """An environment that holds the wheel, among folders that have the names of its packages.

    Attributes:
        environment: the virtual environment.
        current: the folder that commands run in; it holds namesakes of all packages and nothing else.
        hostile: a folder in PYTHONPATH that holds them too.
        home: the account's home.
    """

    environment: Path
    current: Path
    hostile: Path
    home: Path

    @classmethod
    def among_namesakes(cls, environment: Path, folder: Path) -> "Installation":
        made = cls(environment, folder / "current", folder / "hostile", folder / "home")
        made.home.mkdir(parents=True)
        for name in PACKAGES:
            for parent in (made.current, made.hostile):
                (parent / name).mkdir(parents=True)
                (parent / name / "__init__.py").write_text(f"raise ImportError('a namesake of {name}')\n")
        return made

    @property
    def variables(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        return kept | {"HOME": str(self.home), "PYTHONPATH": str(self.hostile), "OMP_NUM_THREADS": "1"}

    def command(self, form: str) -> list[str]:
        """The command as a script or as a module, which puts the current folder on the import path."""
        programs = self.environment / "bin"
        return (
            [str(programs / "infomax")] if form == "script" else [str(programs / "python"), "-m", "infomax"]
        )

    def run(self, form: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [*self.command(form), *map(str, arguments)],
            cwd=self.current,
            env=self.variables,
            capture_output=True,
            text=True,
        )


if __name__ == "__main__":
    sys.stdout.write(f"{build(Path(sys.argv[1]))}\n")
