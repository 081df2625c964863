"""`make overload`: ten times the load that the service can carry.

Full load is the largest number of clients, each waiting for its answer, that are served without a refusal.
Then ten times their rate is offered in an open loop (`bench.open_loop`). The figures are the latency of
accepted requests, the share of refused ones, the server's memory, and the accuracy of `Retry-After`:

- its length: a refusal states when the held images will be answered. The stated time is compared with the
  time until the last request that the service held at that moment was answered;
- its promise: the clients that were refused last send again at the stated time, when the overload is over.
"""

import asyncio
import json
import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
import uvloop

from bench.memory import Memory
from bench.open_loop import Offered, Sent, offer, saturate
from tests.end_to_end.server import Server, serving
from tests.pictures import photo

_SAMPLE_SECONDS = 0.2
_BOUNDARY = "b7Q2"
_FIRST_CLIENTS = 8
_RETRIES = 64
_TIMEOUT_SECONDS = 60.0


class Pictures(StrEnum):
    """Images to send, all different: of 32 x 32 pixels, of 0.3 megapixels, or of 24."""

    SMALL = "small"
    PHOTOGRAPHS = "photographs"
    LARGE = "large"


class _Kind(NamedTuple):
    """Size of the pictures, how many different ones there are, and how many are in a request by default."""

    width: int
    height: int
    files: int
    in_request: int


_KINDS = {
    Pictures.SMALL: _Kind(32, 32, files=64, in_request=16),
    Pictures.PHOTOGRAPHS: _Kind(640, 480, files=64, in_request=1),
    Pictures.LARGE: _Kind(6000, 4000, files=4, in_request=1),
}


@dataclass(frozen=True)
class Plan:
    """Plan of the load.

    Attributes:
        pictures: what is sent.
        images: images in each request.
        connections: most requests in flight in the overload.
        seconds: duration of full load, and of the overload.
        times: the overload, in multiples of full load.
        seed: seed of the arrival times.
    """

    pictures: Pictures
    images: int
    connections: int
    seconds: float
    times: float
    seed: int


def main(
    models: Annotated[Path, typer.Option(help="Folder of models.")] = Path("models"),
    model: Annotated[str, typer.Option(help="name or name/version.")] = "cifar10",
    pictures: Annotated[Pictures, typer.Option(help="Size of the images.")] = Pictures.SMALL,
    images: Annotated[
        int | None, typer.Option(min=1, help="Images in each request; default 16 small ones, or 1.")
    ] = None,
    connections: Annotated[int, typer.Option(min=1, help="Most connections of the overload.")] = 4096,
    seconds: Annotated[float, typer.Option(min=1, help="Duration of full load, and of the overload.")] = 10.0,
    times: Annotated[float, typer.Option(min=1, help="The overload, in multiples of full load.")] = 10.0,
    seed: Annotated[int, typer.Option(help="Seed of the arrival times.")] = 0,
    out: Annotated[Path | None, typer.Option(help="JSON file to write to; default standard output.")] = None,
) -> None:
    """Measure, and write the figures."""
    plan = Plan(pictures, images or _KINDS[pictures].in_request, connections, seconds, times, seed)
    settings = {"model": model, "log_level": "warning"}
    with (
        tempfile.TemporaryDirectory(prefix="infomax-overload-") as folder,
        serving(models.absolute(), Path(folder), **settings) as server,
    ):
        found = uvloop.run(measure(server, plan))
    text = json.dumps(found, indent=2) + "\n"
    if out is None:
        sys.stdout.write(text)
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text)


async def measure(server: Server, plan: Plan) -> dict[str, Any]:
    """Measure; return latencies in milliseconds, rates in images per second, memory in MiB."""
    port = int(server.url.rsplit(":", 1)[1])
    requests = [_request(files) for files in _batches(plan)]
    clients, full = await _full_load(port, requests, plan)
    rate = len(full) / (max(one.done for one in full) - full[0].due)
    moments = _moments(rate * plan.times, plan.seconds, plan.seed)
    with Memory(server, _SAMPLE_SECONDS) as memory:
        overload = await offer(port, requests, moments, plan.connections, _TIMEOUT_SECONDS)
    accepted, refused = _by_status(overload.sent, 200), _by_status(overload.sent, 503)
    others = len(overload.sent) - len(accepted) - len(refused)
    retried = await _retry(port, requests, plan, rate)
    return {
        "pictures": plan.pictures.value,
        "images_per_request": plan.images,
        "full_load": {
            "clients": clients,
            "images_per_second": round(rate * plan.images),
            **_latencies(full),
        },
        "overload": {
            "times_full_load": round(len(moments) / overload.seconds / rate, 2),
            "sent_per_second": round(len(overload.sent) / overload.seconds),
            "unsent": overload.unsent,
            "generator_behind_ms": round(1000 * overload.latest, 1),
            "accepted": len(accepted),
            "accepted_images_per_second": round(len(accepted) * plan.images / overload.seconds),
            "refused_share": round(len(refused) / len(overload.sent), 4),
            "refused_as": sorted({one.code for one in refused}),
            "other_answers": others,
            **_latencies(accepted),
            "p99_against_full_load": round(_p99(accepted) / _p99(full), 2),
            "refusals": _latencies(refused),
        },
        "memory": memory.figures(),
        "retry_after": {**_accuracy(overload), **retried},
    }


async def _full_load(port: int, requests: Sequence[bytes], plan: Plan) -> tuple[int, list[Sent]]:
    """Find how many clients are served without a refusal, to within a quarter, and their requests."""
    await saturate(port, requests, _FIRST_CLIENTS, plan.seconds / 2)
    clients, full = 0, list[Sent]()
    more = _FIRST_CLIENTS
    while more <= plan.connections:
        sent = await saturate(port, requests, more, plan.seconds / 2)
        if {one.status for one in sent} != {200}:
            break
        clients, full = more, sent
        more += max(1, more // 4)
    assert clients, f"{_FIRST_CLIENTS} clients alone were refused"
    return clients, full


async def _retry(port: int, requests: Sequence[bytes], plan: Plan, rate: float) -> dict[str, Any]:
    """Overload the service for a second; let the clients that were refused last retry at the stated time."""
    moments = _moments(rate * plan.times, 1.0, plan.seed + 1)
    overload = asyncio.create_task(offer(port, requests, moments, plan.connections, _TIMEOUT_SECONDS))
    found = await overload
    refused = [one for one in found.sent if one.status == 503 and one.retry_after is not None][-_RETRIES:]
    if not refused:
        return {"retried": 0}
    again = []
    for one in refused:
        assert one.retry_after is not None
        again.append(max(0.0, one.done + one.retry_after - perf_counter()))
    order = sorted(again)
    answers = await offer(port, requests, order, len(order), _TIMEOUT_SECONDS)
    return {
        "retried": len(answers.sent),
        "retried_and_accepted": len(_by_status(answers.sent, 200)),
    }


def _accuracy(overload: Offered) -> dict[str, Any]:
    """Compare the times that refusals stated with the actual ones."""
    accepted = sorted(_by_status(overload.sent, 200), key=lambda one: one.due)
    dues = np.array([one.due for one in accepted])
    latest = np.maximum.accumulate([one.done for one in accepted])
    ratios = []
    for one in _by_status(overload.sent, 503):
        before = int(np.searchsorted(dues, one.done)) - 1
        if one.retry_after is not None and before >= 0 and latest[before] > one.done:
            ratios.append(one.retry_after / (latest[before] - one.done))
    if not ratios:
        return {"refusals": 0}
    low, middle, high = np.percentile(ratios, [5, 50, 95])
    return {
        "refusals": len(ratios),
        "stated_by_actual": {"p5": round(low, 2), "p50": round(middle, 2), "p95": round(high, 2)},
        "within_factor_two": round(float(np.mean([0.5 <= ratio <= 2 for ratio in ratios])), 4),
    }


def _by_status(sent: Sequence[Sent], status: int) -> list[Sent]:
    return [one for one in sent if one.status == status]


def _p99(sent: Sequence[Sent]) -> float:
    return float(np.percentile([one.seconds for one in sent], 99))


def _latencies(sent: Sequence[Sent]) -> dict[str, float]:
    if not sent:
        return {}
    p50, p99 = 1000 * np.percentile([one.seconds for one in sent], [50, 99])
    return {"p50_ms": round(float(p50), 1), "p99_ms": round(float(p99), 1)}


def _moments(rate: float, seconds: float, seed: int) -> list[float]:
    """Draw the arrival times of a Poisson process."""
    generator = random.Random(seed)
    moments, moment = [], generator.expovariate(rate)
    while moment < seconds:
        moments.append(moment)
        moment += generator.expovariate(rate)
    return moments


def _batches(plan: Plan) -> list[list[bytes]]:
    kind = _KINDS[plan.pictures]
    files = [photo(seed, kind.width, kind.height) for seed in range(kind.files)]
    return [
        [files[(start + place) % kind.files] for place in range(plan.images)] for start in range(kind.files)
    ]


def _request(files: Sequence[bytes]) -> bytes:
    """Write an HTTP request: one image as it is, several as a form."""
    if len(files) == 1:
        kind, body = "image/jpeg", files[0]
    else:
        kind = f"multipart/form-data; boundary={_BOUNDARY}"
        part = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
        body = b"".join(part.encode() + file + b"\r\n" for file in files) + f"--{_BOUNDARY}--\r\n".encode()
    head = (
        "POST /v1/embeddings HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Content-Type: {kind}\r\nAccept: application/x-npy\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


if __name__ == "__main__":
    typer.run(main)
