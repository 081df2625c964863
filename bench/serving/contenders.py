"""Servers to compare: how each is started, and the form of its requests and replies."""

import base64
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
from numpy.typing import NDArray

from bench.serving.model import BenchModel, cores
from contract.telemetry import SWITCHES

ROOT = Path(__file__).parents[2]
PEERS_PYTHON = ROOT / "bench" / ".venv-peers" / "bin" / "python"
OURS = "infomax"
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH")
_LARGEST = 64 * 2**20
Vector = NDArray[np.float32]


@dataclass(frozen=True)
class Contender:
    """One server.

    Attributes:
        name: for tables.
        package: the distribution in the peers' environment; empty for this service.
        command: command that starts it; `{port}` is filled in.
        path: path that one image is sent to.
        content_type: its content type.
        body: turns one image into a request's body.
        embedding: reads the embedding in a reply's body.
        layout: its configuration, in words.
        environment: further variables; `{port}` is filled in.
    """

    name: str
    package: str
    command: tuple[str, ...]
    path: str
    content_type: str
    body: Callable[[bytes], bytes]
    embedding: Callable[[bytes], Vector]
    layout: str
    environment: Mapping[str, str]

    def arguments(self, port: int) -> list[str]:
        """Fill in the command line."""
        return [part.format(port=port) for part in self.command]

    def variables(self, port: int, model: BenchModel) -> dict[str, str]:
        """Make the whole environment, without variables of a developer's shell."""
        own = {name: value.format(port=port) for name, value in self.environment.items()}
        return {name: os.environ[name] for name in _KEPT if name in os.environ} | {
            "PYTHONPATH": str(ROOT),
            "BENCH_MODEL": str(model.folder),
            "BENCH_ENCODER": model.file,
            "BENCH_PROCESSES": str(cores()),
            "BENCH_PORT": str(port),
            **SWITCHES,
            **own,
        }

    def request(self, file: bytes) -> bytes:
        """Write an HTTP request."""
        body = self.body(file)
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {self.content_type}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


def contenders(model: BenchModel, data_dir: Path, *, work_sharing: bool = True) -> tuple[Contender, ...]:
    """List this service, whose workers share a client's stream or do not, then its peers."""
    count = cores()
    return (
        Contender(
            name=OURS,
            package="",
            command=(str(Path(sys.executable).parent / "infomax"), "serve"),
            path="/v1/embeddings",
            content_type="image/jpeg",
            body=_as_is,
            embedding=_from_openai,
            layout=f"its defaults; no request log{'' if work_sharing else '; no work sharing'}",
            environment={
                "INFOMAX_PORT": "{port}",
                "INFOMAX_MODELS_DIR": str(model.models_dir),
                "INFOMAX_MODEL": model.id,
                "INFOMAX_DEVICE": "cpu",
                "INFOMAX_PRECISION": model.precision,
                "INFOMAX_DATA_DIR": str(data_dir),
                "INFOMAX_LOG_LEVEL": "warning",
                "INFOMAX_WORK_SHARING": str(work_sharing),
            },
        ),
        Contender(
            name="mosec",
            package="mosec",
            command=(
                *_peer("bench.serving.peers.mosec_server"),
                *("--address", "127.0.0.1", "--port", "{port}", "--max-request-size", str(_LARGEST)),
            ),
            path="/inference",
            content_type="image/jpeg",
            body=_as_is,
            embedding=_from_member,
            layout=f"{count} workers x 1 thread, batches of up to 64 within 1 ms",
            environment={},
        ),
        Contender(
            name="LitServe",
            package="litserve",
            command=_peer("bench.serving.peers.litserve_server"),
            path="/predict",
            content_type="image/jpeg",
            body=_as_is,
            embedding=_from_member,
            layout=f"{count} workers x 1 thread, fast queue, batches of up to 64 within 2 ms",
            environment={},
        ),
        Contender(
            name="BentoML",
            package="bentoml",
            command=(
                *_peer("bentoml", "serve", "bench.serving.peers.bentoml_server:Encoder"),
                *("--host", "127.0.0.1", "--port", "{port}"),
            ),
            path="/embed",
            content_type="application/json",
            body=lambda file: orjson.dumps({"images": [_base64(file)]}),
            embedding=lambda reply: _from_base64(orjson.loads(reply)[0]),
            layout=f"{count} workers x 1 thread, adaptive batches of up to 64, base64 in and out",
            environment={"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(data_dir / "bentoml")},
        ),
        Contender(
            name="MLServer",
            package="mlserver",
            command=_peer("bench.serving.peers.mlserver_server"),
            path="/v2/models/encoder/infer",
            content_type="application/json",
            body=_v2_request,
            embedding=lambda reply: np.asarray(orjson.loads(reply)["outputs"][0]["data"], np.float32),
            layout=f"{count} workers x 1 thread, adaptive batches of up to 64 within 5 ms, V2 JSON",
            environment={},
        ),
    )


def _peer(module: str, *arguments: str) -> tuple[str, ...]:
    return (str(PEERS_PYTHON), "-m", module, *arguments)


def _as_is(file: bytes) -> bytes:
    return file


def _base64(file: bytes) -> str:
    return base64.b64encode(file).decode("ascii")


def _from_base64(text: str) -> Vector:
    return np.frombuffer(base64.b64decode(text), "<f4")


def _from_openai(reply: bytes) -> Vector:
    return np.asarray(orjson.loads(reply)["data"][0]["embedding"], np.float32)


def _from_member(reply: bytes) -> Vector:
    return np.asarray(orjson.loads(reply)["embedding"], np.float32)


def _v2_request(file: bytes) -> bytes:
    image = {
        "name": "image",
        "datatype": "BYTES",
        "shape": [1],
        "parameters": {"content_type": "base64"},
        "data": [_base64(file)],
    }
    return orjson.dumps({"inputs": [image]})
