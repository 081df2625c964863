"""Silence for libtiff, which prints a line on standard error for each damaged strip.

Pillow offers no way to say so. The errors themselves reach Python.
"""

import ctypes
from pathlib import Path

_LOADED_LIBRARIES = Path("/proc/self/maps")


def silence() -> None:
    """Take away libtiff's handlers of messages, once Pillow is loaded; does nothing where it is not found."""
    try:
        lines = _LOADED_LIBRARIES.read_text().splitlines()
    except OSError:
        return
    for path in {line.split(maxsplit=5)[-1] for line in lines if "libtiff" in line}:
        library = ctypes.CDLL(path)
        library.TIFFSetErrorHandler(None)
        library.TIFFSetWarningHandler(None)
