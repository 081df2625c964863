"""Runs through buffers that are made once give what plain runs give."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from service.inference.io_binding import BoundSession

ALL = ["embedding", "code", "features"]


@pytest.fixture(scope="module")
def session(tiny_models: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    graph = tiny_models / "tiny" / "1" / "encoder.onnx"
    return ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


@pytest.fixture
def bound(session: ort.InferenceSession) -> BoundSession:
    return BoundSession(session, "cpu", 0, graphs=False)


def images(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize("count", [1, 2, 3, 8, 12])
@pytest.mark.parametrize("names", [ALL[:2], ALL])
def test_the_outputs_are_those_of_a_plain_run(
    count: int, names: list[str], session: ort.InferenceSession, bound: BoundSession
) -> None:
    batch = images(count)
    for actual, expected in zip(
        bound.run(names, {"image": batch}), session.run(names, {"image": batch}), strict=True
    ):
        np.testing.assert_array_equal(actual, expected)


def test_an_answer_is_not_touched_by_the_next_run(bound: BoundSession) -> None:
    first, _ = bound.run(ALL[:2], {"image": images(4, seed=1)})
    kept = first.copy()
    second, _ = bound.run(ALL[:2], {"image": images(4, seed=2)})
    np.testing.assert_array_equal(first, kept)
    assert np.abs(first - second).max() > 0.01


def test_an_input_need_not_be_contiguous(session: ort.InferenceSession, bound: BoundSession) -> None:
    batch = images(8)[::2]
    (actual,) = bound.run(["code"], {"image": batch})
    np.testing.assert_array_equal(actual, session.run(["code"], {"image": batch})[0])


def test_threads_do_not_mix_their_batches(session: ort.InferenceSession, bound: BoundSession) -> None:
    batches = [images(4, seed=seed) for seed in range(12)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda batch: bound.run(["code"], {"image": batch})[0], batches))
    for batch, answer in zip(batches, answers, strict=True):
        np.testing.assert_array_equal(answer, session.run(["code"], {"image": batch})[0])
