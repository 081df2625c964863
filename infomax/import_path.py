"""Import path of the command: the packages of this installation come before folders that have their names."""

from collections.abc import MutableSequence
from importlib.machinery import PathFinder
from pathlib import Path

# Plain words, which a folder of the user's may well be called.
PACKAGES = ("contract", "service", "training")


def put_before_namesakes(installation: Path, path: MutableSequence[str]) -> None:
    """Put a folder on an import path, before the first entry that holds a package of one of our names.

    The rest of the path keeps its order: to put the folder first would let what else is installed in it come
    before the standard library.

    Args:
        installation: the folder that holds the packages.
        path: as `sys.path`, which worker processes inherit.
    """
    for place, entry in enumerate(path):
        if any(PathFinder.find_spec(name, [entry or "."]) for name in PACKAGES):
            if Path(entry).absolute() != installation:
                path.insert(place, str(installation))
            return
    # An editable installation is found by a hook and not by a path, so a later entry would come before it.
    path.append(str(installation))
