"""Rows cut into groups whose originals are of bounded size together."""

from collections.abc import Sequence
from typing import Protocol, TypeVar


class _HasOriginal(Protocol):
    @property
    def stored_bytes(self) -> int | None: ...
    @property
    def original_sha256(self) -> bytes | None: ...


Row = TypeVar("Row", bound=_HasOriginal)

# What an original in a folder is taken for, before it is read.
_UNKNOWN_BYTES = 4 * 2**20


def byte_groups(rows: Sequence[Row], most: int) -> list[list[Row]]:
    """Cut rows, in order, so that the originals of a group have at most so many bytes, or it is one row."""
    groups: list[list[Row]] = []
    size = 0
    for row in rows:
        weight = row.stored_bytes or (0 if row.original_sha256 is None else min(_UNKNOWN_BYTES, most))
        if not groups or size + weight > most:
            groups.append([])
            size = 0
        groups[-1].append(row)
        size += weight
    return groups
