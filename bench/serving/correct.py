"""Check of a server's answers: only correct servers are timed."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from bench.serving.contenders import Contender
from bench.serving.exchange import RefusedError, exchange
from bench.serving.running import ServerError

_AT_ONCE = 32


def check(
    contender: Contender,
    port: int,
    files: Sequence[bytes],
    expected: NDArray[np.float32],
    tolerance: float,
) -> None:
    """Send every image, many at the same time so that they meet in batches, and compare every number.

    Raises:
        ServerError: an answer is missing or wrong; the message names the first image.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        answers = pool.map(lambda file: _answer(contender, port, file), files)
        for place, (answer, right) in enumerate(zip(answers, expected, strict=True)):
            if isinstance(answer, str):
                raise ServerError(f"image {place}: {answer}")
            if answer.shape != right.shape:
                raise ServerError(f"image {place}: {answer.shape} numbers, expected {right.shape}")
            difference = float(np.abs(answer - right).max())
            if not difference <= tolerance:
                raise ServerError(
                    f"image {place}: its embedding is off by {difference:.3g}, allowed is {tolerance:g}"
                )


def _answer(contender: Contender, port: int, file: bytes) -> NDArray[np.float32] | str:
    try:
        return contender.embedding(exchange(port, contender.request(file)))
    except (OSError, RefusedError, ValueError, KeyError, IndexError, TypeError) as error:
        return f"{type(error).__name__}: {error}"
