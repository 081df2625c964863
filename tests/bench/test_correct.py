"""A server that answers wrongly is never timed."""

from pathlib import Path

import numpy as np
import orjson
import pytest

from bench.serving.contenders import Contender, contenders
from bench.serving.correct import check
from bench.serving.model import BenchModel
from bench.serving.running import ServerError
from contract.preprocessing import Preprocessing
from tests.bench.replies import answering

MODEL = BenchModel(Path("models/tiny/1"), "tiny/1", "fp32", Preprocessing(height=32, width=32))
FILES = tuple(bytes([place]) for place in range(50))
EXPECTED = np.random.default_rng(0).standard_normal((50, 4)).astype(np.float32)


def mosec() -> Contender:
    return next(one for one in contenders(MODEL, Path("data")) if one.name == "mosec")


def reply(body: bytes) -> bytes:
    return orjson.dumps({"embedding": EXPECTED[body[0]].tolist()})


def test_right_answers_pass_whichever_comes_first() -> None:
    with answering(lambda body: (200, reply(body))) as server:
        check(mosec(), server.port, FILES, EXPECTED, tolerance=1e-6)


@pytest.mark.parametrize(
    ("status", "wrong", "what"),
    [
        (200, reply(FILES[6]), "image 7: its embedding is off by"),
        (200, orjson.dumps({"embedding": [1.0]}), r"image 7: \(1,\) numbers"),
        (200, orjson.dumps({"embedding": [float("nan")] * 4}), "image 7"),
        (200, b"no JSON", "image 7: JSONDecodeError"),
        (200, b"{}", "image 7: KeyError"),
        (500, reply(FILES[7]), "image 7: RefusedError: it answered 500"),
    ],
)
def test_one_wrong_answer_of_fifty_is_found_and_named(status: int, wrong: bytes, what: str) -> None:
    def answer(body: bytes) -> tuple[int, bytes]:
        return (status, wrong) if body == FILES[7] else (200, reply(body))

    with answering(answer) as server, pytest.raises(ServerError, match=what):
        check(mosec(), server.port, FILES, EXPECTED, tolerance=1e-3)
