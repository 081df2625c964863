"""Names of files as senders wrote them, turned into ids that JSON can carry."""

import os
from pathlib import Path

_LITTER = (".DS_Store", "Thumbs.db", "desktop.ini")


def text_of(name: bytes) -> str:
    """A name as text: UTF-8, with bytes that are none as `\\xNN`, so that no two names become one."""
    return name.decode("utf-8", "backslashreplace")


def shown_path(path: Path) -> str:
    """A path that any terminal and any JSON can carry."""
    return text_of(os.fsencode(path))


def member_id(name: str) -> str:
    """Return the id of an archive's member: its path without `.` between slashes.

    `tar cf - photos/.` writes them. They name nothing, and HTTP clients would resolve them away.
    """
    if "." not in name.split("/"):
        return name
    # A slash that followed a dot at the beginning belongs to it: the path is still a relative one.
    kept = "/".join(segment for segment in name.split("/") if segment != ".")
    return kept if name.startswith("/") else kept.lstrip("/")


def is_litter(name: str) -> bool:
    """Tell whether a desktop system made the file: views, icons and resource forks."""
    parts = name.split("/")
    return parts[-1].startswith("._") or parts[-1] in _LITTER or "__MACOSX" in parts
