"""What surrounds every command of the offline half: what it needs is there, and failures are one sentence."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from training.errors import DataError, TrainingError
from training.system.out_of_memory import ran_out

_NEEDED = ("torch", "tensorboard", "onnxscript")


@contextmanager
def offline() -> Iterator[None]:
    """Check that what a command of training needs is installed, then run the block with plain failures.

    Raises:
        TrainingError: what training needs is not installed.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise TrainingError(
            f"This command needs {', '.join(missing)}, which serving does without; "
            "run `make setup`, or pip install 'infomax[training]'."
        )
    with plain_failures():
        yield


@contextmanager
def plain_failures() -> Iterator[None]:
    """Log warnings as lines on stderr, and turn unusable files and lack of memory into one sentence."""
    logging.basicConfig(level=logging.WARNING, format="note: %(message)s")
    try:
        yield
    except OSError as error:
        raise DataError(f"{error.filename or 'A file'}: {error.strerror or error}.") from error
    except Exception as error:
        if not ran_out(error):
            raise
        raise TrainingError(
            "Memory ran out; free some, or use fewer images or a smaller recipe "
            f"({' '.join(str(error).split())})."
        ) from error
