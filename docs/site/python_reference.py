"""Reference of `infomax.client`, for mkdocstrings to fill from the docstrings."""

from infomax import client

_HEAD = """# Python client, name by name

How to use it: [Python client](../python.md). Made from the docstrings of `infomax.client`.
"""
_FIRST = ("Client", "AsyncClient")


def page() -> str:
    """Write a directive for every public name, the clients first."""
    names = [*_FIRST, *(name for name in client.__all__ if name not in _FIRST)]
    return "\n".join([_HEAD, *(f"::: infomax.client.{name}" for name in names)]) + "\n"
