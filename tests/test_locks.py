"""Pins: complete, agreed among each other and with pyproject.toml, and free of addresses."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONSTRAINTS = ROOT / "constraints.txt"
LOCK = ROOT / "serving.lock"
PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)(?: ; (.+?))?(?: \\)?$", re.MULTILINE)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(path: Path) -> dict[str, set[str]]:
    """Versions of each package; more than one where they depend on the platform."""
    found: dict[str, set[str]] = {}
    for name, version, _ in PIN.findall(path.read_text()):
        found.setdefault(normal(name), set()).add(version)
    return found


def required(only: str | None) -> set[str]:
    """What the project requires with one extra, or with all."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = list(project["dependencies"])
    for extra, group in project["optional-dependencies"].items():
        if only in (None, extra):
            wanted += group
    names = (re.match(r"[A-Za-z0-9._-]+", one) for one in wanted)
    # An extra may include another one.
    return {normal(name[0]) for name in names if name} - {project["name"]}


@pytest.mark.parametrize(
    ("path", "only"), [(LOCK, "serving"), (CONSTRAINTS, None)], ids=["lock", "constraints"]
)
def test_everything_that_the_project_requires_is_pinned(path: Path, only: str | None) -> None:
    assert required(only) - set(pins(path)) == set()


def test_both_files_pin_the_same_versions() -> None:
    constraints = pins(CONSTRAINTS)
    assert {name: versions for name, versions in pins(LOCK).items() if constraints[name] != versions} == {}


def test_every_locked_package_has_hashes() -> None:
    entries = re.split(r"\n(?=[a-z])", LOCK.read_text().split("make lock\n")[1])
    assert len(entries) == sum(len(versions) for versions in pins(LOCK).values())
    assert [entry for entry in entries if not re.search(r"--hash=sha256:[0-9a-f]{64}", entry)] == []


def test_pins_name_no_address() -> None:
    assert [path.name for path in (LOCK, CONSTRAINTS) if "://" in path.read_text()] == []


def test_serving_locks_one_onnx_runtime_for_each_platform_and_no_torch() -> None:
    locked = {name: versions for name, versions in pins(LOCK).items() if "onnxruntime" in name}
    assert len({*locked["onnxruntime"], *locked["onnxruntime-gpu"]}) == 1
    assert "torch" not in pins(LOCK)
    markers = {name: marker for name, _, marker in PIN.findall(LOCK.read_text()) if "onnxruntime" in name}
    assert all(markers.values())
