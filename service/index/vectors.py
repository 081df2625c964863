"""Clients' vectors: checked, and scaled to length one; many of them together."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.errors import ServiceError


def pack(value: object) -> object:
    """Make an array of a list of numbers, float64 [N], in a quarter of its size; leave other values."""
    if not _is_list_of_numbers(value):
        return value
    try:
        return np.array(value, np.float64)
    except OverflowError:
        return value


def check_vector(value: object, dimensions: int) -> NDArray[np.float32]:
    """Scale a client's vector to length one: float32 [dimensions].

    Args:
        value: a list, as a JSON parser returned it, or an array of floats.
        dimensions: length of the model's vectors.

    Raises:
        ServiceError: 422 `invalid_vector` for another length, no numbers, or a length of zero.
    """
    if not _is_array_of_floats(value) and not _is_list_of_numbers(value):
        raise _invalid("The vector must be a JSON array of numbers.")
    numbers: Any = value
    if len(numbers) != dimensions:
        raise _invalid(
            f"The vector has {len(numbers):,} numbers. This model's vectors have {dimensions:,}.", dimensions
        )
    try:
        vector = np.asarray(numbers, dtype=np.float64)
    except OverflowError as error:
        raise _invalid("The vector has a number that no float can hold.") from error
    with np.errstate(over="ignore", invalid="ignore"):
        length = float(np.linalg.norm(vector))
    if not np.isfinite(length) or length == 0:
        raise _invalid(f"The vector has the length {length:g} and no direction to compare.")
    return (vector / length).astype(np.float32)


def check_vectors(values: Sequence[object], dimensions: int) -> list[NDArray[np.float32] | ServiceError]:
    """Check each as `check_vector` does, arrays in a fraction of the time; return refusals."""
    checked: list[NDArray[np.float32] | ServiceError | None] = [None] * len(values)
    places = [place for place, value in enumerate(values) if _has_shape(value, dimensions)]
    if places:
        rows = np.array([values[place] for place in places], np.float64)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            lengths = np.linalg.norm(rows, axis=1, keepdims=True)
            units = (rows / lengths).astype(np.float32)
        good = (np.isfinite(lengths) & (lengths > 0))[:, 0].tolist()
        for place, unit, is_good in zip(places, units, good, strict=True):
            checked[place] = unit if is_good else None
    return [
        _one(value, dimensions) if result is None else result
        for value, result in zip(values, checked, strict=True)
    ]


def _one(value: object, dimensions: int) -> NDArray[np.float32] | ServiceError:
    try:
        return check_vector(value, dimensions)
    except ServiceError as error:
        return error


def _has_shape(value: object, dimensions: int) -> bool:
    return isinstance(value, np.ndarray) and _is_array_of_floats(value) and value.shape == (dimensions,)


def _is_array_of_floats(value: object) -> bool:
    return isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind == "f"


def _is_list_of_numbers(value: object) -> bool:
    # Not the types that only behave like numbers: true, and in NumPy "1" too.
    return isinstance(value, list) and set(map(type, value)) <= {int, float}


def _invalid(message: str, limit: int | None = None) -> ServiceError:
    return ServiceError(422, "invalid_vector", message, limit=limit)
