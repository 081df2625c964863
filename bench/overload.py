"""`make overload`: ten times the load that the service can carry, and what becomes of it.

Full load is as many clients, each waiting for its answer, as are served without a refusal. Then ten times
the rate at which they were answered is offered, at moments of their own (`bench.open_loop`). Measured are the
latency of what was accepted, the share that was refused, the server's memory, and whether Retry-After tells
the truth:

- its length: a refusal says when what is held will be done. So the stated time is compared with the time
  until the last of the requests that were in the service at that moment had its answer;
- its promise: clients that were refused last come again at the stated time, when the storm is over.
"""

import asyncio
import json
import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import numpy as np
import typer
import uvloop

from bench.memory import Memory
from bench.open_loop import Offered, Sent, offer, saturate
from tests.end_to_end.server import Server, serving
from tests.pictures import photo

_SAMPLE_SECONDS = 0.2
_BOUNDARY = "b7Q2"
_FILES = 64
_FIRST_CLIENTS = 8
_RETRIES = 64
_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Plan:
    """What is offered.

    Attributes:
        images: in each request.
        connections: most requests that may be on their way in an overload.
        seconds: of full load, and of overload.
        times: the load, in multiples of full load.
        seed: of the moments.
    """

    images: int
    connections: int
    seconds: float
    times: float
    seed: int


def main(
    models: Annotated[Path, typer.Option(help="Folder of models.")] = Path("models"),
    model: Annotated[str, typer.Option(help="name or name/version.")] = "cifar10",
    images: Annotated[int, typer.Option(min=1, help="Images in each request.")] = 16,
    connections: Annotated[int, typer.Option(min=1, help="Of the overload, at most.")] = 4096,
    seconds: Annotated[float, typer.Option(min=1, help="Of full load, and of overload.")] = 10.0,
    times: Annotated[float, typer.Option(min=1, help="The overload, in multiples of full load.")] = 10.0,
    seed: Annotated[int, typer.Option(help="Of the moments.")] = 0,
    out: Annotated[Path | None, typer.Option(help="JSON file to write to; default standard output.")] = None,
) -> None:
    """Measure, and write the figures."""
    plan = Plan(images, connections, seconds, times, seed)
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
    """The figures; latencies in milliseconds, rates in images a second, memory in MiB."""
    port = int(server.url.rsplit(":", 1)[1])
    requests = [_request(files) for files in _batches(plan.images)]
    clients, full = await _full_load(port, requests, plan)
    rate = len(full) / (max(one.done for one in full) - full[0].due)
    moments = _moments(rate * plan.times, plan.seconds, plan.seed)
    with Memory(server, _SAMPLE_SECONDS) as memory:
        storm = await offer(port, requests, moments, plan.connections, _PATIENCE_SECONDS)
    accepted, refused = _by_status(storm.sent, 200), _by_status(storm.sent, 503)
    others = len(storm.sent) - len(accepted) - len(refused)
    retried = await _come_again(port, requests, plan, rate)
    return {
        "images_per_request": plan.images,
        "full_load": {
            "clients": clients,
            "images_per_second": round(rate * plan.images),
            **_latencies(full),
        },
        "overload": {
            "times_full_load": round(len(moments) / storm.seconds / rate, 2),
            "sent_per_second": round(len(storm.sent) / storm.seconds),
            "unsent": storm.unsent,
            "generator_behind_ms": round(1000 * storm.latest, 1),
            "accepted": len(accepted),
            "accepted_images_per_second": round(len(accepted) * plan.images / storm.seconds),
            "refused_share": round(len(refused) / len(storm.sent), 4),
            "refused_as": sorted({one.code for one in refused}),
            "other_answers": others,
            **_latencies(accepted),
            "p99_against_full_load": round(_p99(accepted) / _p99(full), 2),
            "refusals": _latencies(refused),
        },
        "memory": memory.figures(),
        "retry_after": {**_truth(storm), **retried},
    }


async def _full_load(port: int, requests: Sequence[bytes], plan: Plan) -> tuple[int, list[Sent]]:
    """How many clients are served without a refusal, to within a quarter, and what they were answered."""
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


async def _come_again(port: int, requests: Sequence[bytes], plan: Plan, rate: float) -> dict[str, Any]:
    """A short storm; those that were refused last send again after the time that they were told."""
    moments = _moments(rate * plan.times, 1.0, plan.seed + 1)
    storm = asyncio.create_task(offer(port, requests, moments, plan.connections, _PATIENCE_SECONDS))
    found = await storm
    refused = [one for one in found.sent if one.status == 503 and one.retry_after is not None][-_RETRIES:]
    if not refused:
        return {"retried": 0}
    again = []
    for one in refused:
        assert one.retry_after is not None
        again.append(max(0.0, one.done + one.retry_after - perf_counter()))
    order = sorted(again)
    answers = await offer(port, requests, order, len(order), _PATIENCE_SECONDS)
    return {
        "retried": len(answers.sent),
        "retried_and_accepted": len(_by_status(answers.sent, 200)),
    }


def _truth(storm: Offered) -> dict[str, Any]:
    """What refusals said, against what came."""
    accepted = sorted(_by_status(storm.sent, 200), key=lambda one: one.due)
    dues = np.array([one.due for one in accepted])
    latest = np.maximum.accumulate([one.done for one in accepted])
    ratios = []
    for one in _by_status(storm.sent, 503):
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
    """Arrivals of a Poisson process."""
    generator = random.Random(seed)
    moments, moment = [], generator.expovariate(rate)
    while moment < seconds:
        moments.append(moment)
        moment += generator.expovariate(rate)
    return moments


def _batches(images: int) -> list[list[bytes]]:
    files = [photo(seed) for seed in range(_FILES)]
    return [[files[(start + place) % _FILES] for place in range(images)] for start in range(_FILES)]


def _request(files: Sequence[bytes]) -> bytes:
    """A whole HTTP request: one image as it is, several as a form."""
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
