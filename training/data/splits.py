"""Names of the parts of a data set, such as train and test. Images of several were kept apart on purpose."""

import re
from collections.abc import Sequence

SPLITS = ("train", "test", "validation", "valid", "val", "dev")
_FOLDER = re.compile(rf"(?:{'|'.join(SPLITS)}|training|testing)[-_ ]?\d*", re.IGNORECASE)


def split_folders(names: Sequence[str]) -> list[str]:
    """Name the folders that are parts of a set, not classes: several of them, or all that there are.

    A single one beside others may be a class: a train is a vehicle too.
    """
    found = [name for name in names if _FOLDER.fullmatch(name)]
    return found if len(found) > 1 or len(found) == len(names) else []
