"""Reads the pickles of the official CIFAR-10 archive without running what a pickle can run.

A pickle is a program that may call any function it names. Here it may name three, those that rebuild a NumPy
array, and even these are replaced by records that only remember what they were given.
"""

import pickle
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.errors import DataError


class _RecordedCall:
    """Stands in for an array or a data type: keeps the state that the pickle sets, and does nothing."""

    def __init__(self, *arguments: object) -> None:
        self.arguments = arguments
        self.state: Any = None

    def __setstate__(self, state: object) -> None:
        self.state = state


_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type[_RecordedCall]:
        if (module, name) in _ALLOWED:
            return _RecordedCall
        raise DataError(
            f"The archive asks to run {module}.{name}, which no CIFAR-10 batch does; it is not the official "
            "one, and nothing of it was run."
        )


def read_batch(data: bytes) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read pixels uint8 [N, 3072] and labels int64 [N] of one batch.

    Raises:
        DataError: it is not such a batch, or would run something.
    """
    record = _load(data)
    try:
        return _array(record[b"data"]), np.array(record[b"labels"], np.int64)
    except (AttributeError, LookupError, TypeError, ValueError, OverflowError) as error:
        raise _unreadable(error) from error


def read_names(data: bytes) -> tuple[str, ...]:
    """Read the names of the classes from `batches.meta`.

    Raises:
        DataError: it holds none, or would run something.
    """
    record = _load(data)
    try:
        return tuple(name.decode() for name in record[b"label_names"])
    except (AttributeError, LookupError, TypeError, UnicodeDecodeError) as error:
        raise _unreadable(error) from error


def _load(data: bytes) -> Any:
    """Read the pickle's value; Python 2 wrote it, so its strings are bytes."""
    try:
        return _Unpickler(BytesIO(data), encoding="bytes").load()
    except DataError:
        raise
    except Exception as error:
        # A damaged pickle raises an open set of types; all of them mean one thing.
        raise _unreadable(error) from error


def _array(remembered: _RecordedCall) -> NDArray[np.uint8]:
    """Rebuild the array of a pickle: its state is (version, shape, type, Fortran order, bytes)."""
    _, shape, kind, fortran, content = remembered.state
    if kind.arguments[0] not in (b"u1", "u1") or fortran:
        raise ValueError(f"an array of {kind.arguments[0]!r} in place of bytes in rows")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _unreadable(error: Exception) -> DataError:
    return DataError(
        f"A batch of the archive is no CIFAR-10 batch ({type(error).__name__}: {error}); download it again."
    )
