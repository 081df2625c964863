"""Failures of a command as one sentence each."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from training.errors import DataError, TrainingError
from training.system.out_of_memory import ran_out


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
            "Memory ran out. Free some, or use fewer images or a smaller recipe "
            f"({' '.join(str(error).split())})."
        ) from error
