"""The order of the rooms: a room imports from floors below its own, and never back.

A room is a folder of a package, or a file beside the folders. Imports inside functions and under
`TYPE_CHECKING` count: they say as much about what knows what.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]

# The lowest floor first. Rooms that share a floor do not import each other.
FLOORS: dict[str, tuple[tuple[str, ...], ...]] = {
    "service": (
        ("default_folders", "logs", "metrics", "page", "system", "tracing"),
        ("errors",),
        ("settings",),
        ("inference",),
        ("index", "quotas", "work_sharing"),
        ("inputs", "models"),
        ("streaming", "http"),
        ("outputs", "runtime"),
        ("routes", "corpus", "index_jobs"),
        ("app",),
        ("processes",),
        ("cli",),
    ),
    "training": (
        ("errors",),
        ("system", "recipe", "shipped_recipes"),
        ("distributed", "data", "optim"),
        ("model",),
        ("recipe_file",),
        ("evaluation",),
        ("loop",),
        ("export", "planning"),
        ("experiments",),
        ("report",),
        ("cli",),
    ),
}


class Import(NamedTuple):
    """One name that a file takes from another room of its package."""

    file: str
    line: int
    room: str
    taken: str
    target: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} ({self.room}) takes {self.taken} ({self.target})"


def room(module: str) -> str:
    """Return the room of a module that is named from the package on; empty for the package itself."""
    return [*module.split("."), ""][1]


def crossing(folder: Path) -> Iterator[Import]:
    """Find every import between two rooms of a package.

    `from package.a import b` counts as `package.a.b` where that is a module, so that a package's own
    `__init__` hides nothing.
    """
    package = folder.name
    files = {
        ".".join(path.relative_to(folder.parent).with_suffix("").parts).removesuffix(".__init__"): path
        for path in sorted(folder.rglob("*.py"))
    }
    for module, path in files.items():
        if module == package:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                found = [(node.module or "", alias.name) for alias in node.names]
            elif isinstance(node, ast.Import):
                found = [(alias.name, "") for alias in node.names]
            else:
                continue
            for source, name in found:
                full = f"{source}.{name}" if name else source
                taken = full if full in files else source
                if taken.split(".")[0] == package and room(taken) not in ("", room(module)):
                    yield Import(
                        str(path.relative_to(folder.parent)), node.lineno, room(module), full, room(taken)
                    )


@pytest.mark.parametrize("package", FLOORS)
def test_every_room_has_a_floor(package: str) -> None:
    listed = [name for floor in FLOORS[package] for name in floor]
    rooms = {
        path.stem
        for path in (ROOT / package).iterdir()
        if (path.is_dir() and any(path.rglob("*.py"))) or path.suffix == ".py"
    } - {"__init__", "__main__"}
    assert sorted(listed) == sorted(rooms)


@pytest.mark.parametrize("package", FLOORS)
def test_rooms_import_from_lower_floors_only(package: str) -> None:
    floor = {name: number for number, names in enumerate(FLOORS[package]) for name in names}
    upwards = [str(each) for each in crossing(ROOT / package) if floor[each.room] <= floor[each.target]]
    assert upwards == []


@pytest.mark.parametrize(
    "text",
    [
        "from house.attic.box import Toy",
        "import house.attic.box",
        "from house.attic import box",
        "def later():\n    from house.attic.box import Toy",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house.attic.box import Toy",
    ],
)
def test_an_import_back_is_found_with_its_file_and_its_name(text: str, tmp_path: Path) -> None:
    for name, content in (("cellar/wine.py", text), ("attic/box.py", "Toy = 1")):
        path = tmp_path / "house" / name
        path.parent.mkdir(parents=True)
        path.write_text(content)
    (found,) = crossing(tmp_path / "house")
    assert (found.file, found.room, found.target) == ("house/cellar/wine.py", "cellar", "attic")
    assert found.taken.startswith("house.attic")
