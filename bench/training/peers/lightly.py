"""Loss modules of lightly, loaded alone.

    pip install --no-deps lightly

The package's root imports torchvision, which need not fit the PyTorch that is measured. So its packages are
named here without running their `__init__`, and only the files of losses and what these import are run.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

DEFAULT = Path("bench/.venv-lightly")
_PACKAGES = ("lightly", "lightly.loss", "lightly.models", "lightly.models.modules", "lightly.utils")


class NoLightlyError(Exception):
    """The environment holds no lightly."""


def loss_module(name: str, environment: Path = DEFAULT) -> ModuleType:
    """Load the file `lightly/loss/<name>.py` of an environment.

    Raises:
        NoLightlyError: it is not there.
    """
    root = next(environment.glob("lib/python*/site-packages/lightly"), environment / "lightly")
    if not (root / "loss" / f"{name}.py").is_file():
        raise NoLightlyError(
            f"{environment} holds no lightly.loss.{name}. Run make bench-peers, which installs it."
        )
    if getattr(sys.modules.get("lightly"), "__path__", None) != [str(root)]:
        _name_packages(root)
    with _stand_ins():
        return import_module(f"lightly.loss.{name}")


@contextmanager
def _stand_ins() -> Iterator[None]:
    """Give modules of torchvision in names that no loss uses, where it is not installed."""
    if find_spec("torchvision") is not None:
        yield
        return
    made = {"torchvision": ModuleType("torchvision"), "torchvision.ops": ModuleType("torchvision.ops")}
    made["torchvision.ops"].StochasticDepth = None  # type: ignore[attr-defined]
    sys.modules.update(made)
    try:
        yield
    finally:
        for module in made:
            del sys.modules[module]


def _name_packages(root: Path) -> None:
    """Put packages without content into `sys.modules`, in place of those of another environment."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "lightly"]:
        del sys.modules[name]
    for package in _PACKAGES:
        bare = ModuleType(package)
        bare.__path__ = [str(root.parent.joinpath(*package.split(".")))]
        sys.modules[package] = bare
        parent, _, member = package.rpartition(".")
        if parent:
            # `from lightly.models import utils` asks the package for its member.
            setattr(sys.modules[parent], member, bare)


def version(environment: Path = DEFAULT) -> str:
    """Name the installed version."""
    found = next(environment.glob("lib/python*/site-packages/lightly-*.dist-info"), None)
    return "unknown" if found is None else found.name.removesuffix(".dist-info").removeprefix("lightly-")
