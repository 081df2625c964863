"""`make soak`: random requests of every kind for an hour, with broken images among them.

Every answer is checked against this process's own decoder. At the end the server's counts have to equal the
clients', and nothing may be held any more. No request may have failed by a fault of the server. In a run of
ten minutes or more, its memory has to be flat.
"""

import asyncio
import base64
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import httpx
import typer
from prometheus_client.parser import text_string_to_metric_families

from bench.memory import Memory
from contract.artefact import open_artefact
from contract.errors import ImageError
from contract.images import decode
from contract.preprocessing import Preprocessing
from service.inference.locating import locate
from service.inputs.v2 import HEADER as _HEAD
from tests.end_to_end.server import Server, serving, wait_for
from tests.pictures import encoded, landscape
from tests.service.streams import FORMATS

# A soak is not an overload: a request that waits is never refused.
SETTINGS = {"queue_seconds": 3600, "log_level": "warning"}

_CALLERS = 8
_PICTURES = 160
_IDS = 200
_MOST_IN_REQUEST = 24
_MOST_IN_STREAM = 40
_WARM_UP_SHARE = 0.25
_LONG_SECONDS = 600.0
_MOST_GROWTH = 0.05
_SHOWN = 20
_INFER = "/v2/models/{name}/infer"
_COUNTED = ("/v1/embeddings", "/v1/batch", "/v1/items", _INFER)


@dataclass(frozen=True)
class Picture:
    """File that is sent as an image.

    Attributes:
        data: its bytes.
        code: code of the failure that has to be its answer; empty where it is an image.
    """

    data: bytes
    code: str


@dataclass
class Found:
    """Observations of the clients.

    Attributes:
        requests: requests by method, route and status; 0 where the client did not wait for the answer.
        items: images by route and outcome, of routes whose every answer is awaited.
        surprises: wrong answers.
    """

    requests: Counter[tuple[str, int]] = field(default_factory=Counter)
    items: Counter[tuple[str, str]] = field(default_factory=Counter)
    surprises: list[str] = field(default_factory=list)

    def count(self, route: str, pictures: Sequence[Picture]) -> None:
        self.items.update((route, picture.code or "ok") for picture in pictures)

    def expect(self, what: str, answer: httpx.Response, statuses: set[int], code: str = "") -> bool:
        """Check a status and the code of a refusal; return whether they are right."""
        said = answer.json().get("code", "") if answer.status_code >= 400 else ""
        good = answer.status_code in statuses and (not code or said == code)
        if not good:
            self.surprises.append(f"{what}: {answer.status_code} {said}, not {statuses} {code}")
        return good


def pictures(rule: Preprocessing, seed: int, count: int = _PICTURES) -> list[Picture]:
    """Make files of all formats and sizes, a third of them damaged, each with its code by the decoder."""
    rng = random.Random(seed)
    found = []
    for number in range(count):
        # Mostly small images, and some photographs.
        side = rng.choice([1, 8, 32, 32, 32, 96, 224, 640, 1600])
        image = landscape(max(3, side), max(3, int(side * rng.uniform(0.5, 2))), number)
        image_format = rng.choice(["JPEG", "JPEG", "JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF"])
        data = bytearray(encoded(image, image_format))
        kind = rng.choice(["good", "good", "good", "good", "truncated", "changed", "text"])
        if kind == "truncated":
            del data[rng.randrange(1, len(data)) :]
        elif kind == "changed":
            for _ in range(rng.randint(1, 20)):
                data[rng.randrange(len(data))] = rng.randrange(256)
        elif kind == "text":
            data = bytearray(rng.randbytes(rng.randint(1, 2000)))
        found.append(Picture(bytes(data), _code(bytes(data), rule)))
    return found


def _first_code(chosen: Sequence[Picture]) -> str:
    """Return the code of the failure that refuses them together; empty where all are images."""
    return next((picture.code for picture in chosen if picture.code), "")


def _code(data: bytes, rule: Preprocessing) -> str:
    try:
        decode(data, rule)
    except ImageError as error:
        return error.code
    return ""


class _LostAnswerError(Exception):
    """A connection failed before its answer was there; the surprise is noted."""


class Soak:
    """Clients that send random requests, one after the other."""

    def __init__(self, url: str, model: str, images: Sequence[Picture], seed: int) -> None:
        self.found = Found()
        self._url = url
        self._model = model
        self._images = images
        self._good = [picture for picture in images if not picture.code]
        self._rng = random.Random(seed)

    async def run(self, more: Callable[[], bool]) -> Found:
        """Send requests while `more` returns true; it is called before each."""
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=4 * _CALLERS)
        # A request that is broken off closes its connection, which no other request shares.
        single = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        async with (
            httpx.AsyncClient(base_url=self._url, timeout=120, limits=limits) as self._client,
            httpx.AsyncClient(base_url=self._url, timeout=120, limits=single) as self._leaver,
            asyncio.TaskGroup() as tasks,
        ):
            for _ in range(_CALLERS):
                tasks.create_task(self._call(more))
        return self.found

    async def _call(self, more: Callable[[], bool]) -> None:
        deeds: list[Callable[[], Awaitable[None]]] = [
            *(3 * [self._embed]),
            *(3 * [self._stream]),
            self._infer,
            self._map,
            self._store_one,
            self._store_many,
            self._list,
            self._search,
            self._hurry,
            self._leave,
            self._talk_nonsense,
        ]
        while more():
            with suppress(_LostAnswerError):
                await self._rng.choice(deeds)()

    async def _send(self, method: str, route: str, path: str = "", **request: Any) -> httpx.Response:
        try:
            answer = await self._client.request(method, path or route, **request)
        except httpx.TransportError as error:
            cause = error.__cause__ and error.__cause__.__cause__
            self.found.surprises.append(f"{datetime.now(UTC):%X} {method} {route}: {error!r}, from {cause!r}")
            raise _LostAnswerError from error
        self.found.requests[f"{method} {route}", answer.status_code] += 1
        return answer

    def _some(self, most: int) -> list[Picture]:
        return self._rng.choices(self._images, k=self._rng.randint(1, most))

    async def _embed(self) -> None:
        # Mostly good images: one bad image refuses the whole request.
        source = self._good if self._rng.random() < 0.7 else self._images
        chosen = self._rng.choices(source, k=self._rng.randint(1, _MOST_IN_REQUEST))
        if self._rng.random() < 0.5:
            request: dict[str, Any] = {"files": [("image", ("a", picture.data)) for picture in chosen]}
        else:
            texts = [base64.b64encode(picture.data).decode() for picture in chosen]
            request = {"json": {"input": texts, "encoding_format": self._rng.choice(["float", "base64"])}}
        answer = await self._send("POST", "/v1/embeddings", **request)
        self.found.count("/v1/embeddings", chosen)
        code = _first_code(chosen)
        if (
            self.found.expect("embeddings", answer, {400, 413, 415, 422} if code else {200}, code)
            and not code
        ):
            self._same("embeddings", len(answer.json()["data"]), len(chosen))

    async def _stream(self) -> None:
        chosen = self._some(_MOST_IN_STREAM)
        kind, write = FORMATS[self._rng.choice(list(FORMATS))]
        body = write([(f"{place}.jpg", picture.data) for place, picture in enumerate(chosen)])
        outputs = self._rng.choice(["embedding", "mi_map", "embedding,mi_map", "embedding,neighbours"])
        answer = await self._send(
            "POST",
            "/v1/batch",
            content=body,
            headers={"content-type": kind},
            params={"outputs": outputs, "k": self._rng.randint(1, 20)},
        )
        if self.found.expect("batch", answer, {200}):
            self._read_lines("/v1/batch", answer, chosen)

    async def _store_many(self) -> None:
        chosen = self._some(_MOST_IN_STREAM)
        lines = [
            json.dumps({"id": self._id(), "image": base64.b64encode(picture.data).decode()})
            for picture in chosen
        ]
        headers = {"content-type": "application/x-ndjson"}
        answer = await self._send("POST", "/v1/items", content="\n".join(lines), headers=headers)
        if self.found.expect("items", answer, {200}):
            self._read_lines("/v1/items", answer, chosen)

    def _read_lines(self, route: str, answer: httpx.Response, chosen: Sequence[Picture]) -> None:
        *lines, last = map(json.loads, answer.text.splitlines())
        codes = [line.get("error", {}).get("code", "") for line in lines]
        self._same(f"{route}: codes", codes, [picture.code for picture in chosen])
        self._same(f"{route}: order", [line["index"] for line in lines], list(range(len(chosen))))
        bad = sum(bool(picture.code) for picture in chosen)
        summary = last["summary"]
        self._same(f"{route}: summary", (summary["items"], summary["errors"]), (len(chosen), bad))
        self.found.count(route, chosen)

    async def _infer(self) -> None:
        """Send a request of the Open Inference Protocol, with tensors as bytes in both directions."""
        chosen = self._some(4)
        tensor = b"".join(len(picture.data).to_bytes(4, "little") + picture.data for picture in chosen)
        image = {
            "name": "image",
            "datatype": "BYTES",
            "shape": [len(chosen)],
            "parameters": {"binary_data_size": len(tensor)},
        }
        head = json.dumps({"inputs": [image], "parameters": {"binary_data_output": True}}).encode()
        path = _INFER.format(name=self._model)
        headers = {_HEAD: str(len(head))}
        answer = await self._send("POST", _INFER, path, content=head + tensor, headers=headers)
        self.found.count(_INFER, chosen)
        code = _first_code(chosen)
        if self.found.expect("infer", answer, {400, 413} if code else {200}, code) and not code:
            outputs = json.loads(answer.content[: int(answer.headers[_HEAD])])["outputs"]
            self._same("infer", [one["shape"][0] for one in outputs], 2 * [len(chosen)])

    async def _map(self) -> None:
        picture = self._rng.choice(self._images)
        accept = self._rng.choice(["application/json", "application/x-npy", "image/png"])
        answer = await self._send("POST", "/v1/mi-maps", content=picture.data, headers=_image(accept))
        expected = {400, 413, 415, 422} if picture.code else {200}
        self.found.expect("mi-maps", answer, expected, picture.code)

    async def _store_one(self) -> None:
        path, picture = f"/v1/items/{self._id()}", self._rng.choice(self._good)
        route = "/v1/items/{id}"
        put = await self._send("PUT", route, path, content=picture.data, headers=_image("*/*"))
        self.found.expect("put", put, {200})
        # Another client may delete it in the meantime.
        self.found.expect("get", await self._send("GET", route, path), {200, 404})
        if self._rng.random() < 0.3:
            self.found.expect("delete", await self._send("DELETE", route, path), {204, 404})

    async def _list(self) -> None:
        prefix, limit = f"item-{self._rng.randint(1, 9)}", self._rng.randint(1, 20)
        answer = await self._send("GET", "/v1/items", params={"prefix": prefix, "limit": limit})
        if self.found.expect("list", answer, {200}):
            ids = [item["id"] for item in answer.json()["items"]]
            self._same("list", ids, sorted(one for one in ids if one.startswith(prefix))[:limit])

    async def _search(self) -> None:
        picture = self._rng.choice(self._images)
        answer = await self._send(
            "POST",
            "/v1/neighbours",
            content=picture.data,
            headers=_image("application/json"),
            params={"k": self._rng.randint(1, 50), "explain": self._rng.choice(["true", "false"])},
        )
        expected = {400, 413, 415, 422} if picture.code else {200}
        self.found.expect("neighbours", answer, expected, picture.code)

    async def _hurry(self) -> None:
        headers = {**_image("application/json"), "X-Request-Timeout-Ms": str(self._rng.randint(1, 60))}
        files = self._rng.choice(self._good)
        answer = await self._send("POST", "/v1/neighbours", content=files.data, headers=headers)
        self.found.expect("hurry", answer, {200, 503, 504})
        if answer.status_code in (503, 504):
            allowed = {503: "deadline_unreachable", 504: "deadline_exceeded"}
            self._same("hurry", answer.json()["code"], allowed[answer.status_code])

    async def _leave(self) -> None:
        route, picture = "/v1/mi-maps", self._rng.choice(self._good)
        status = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(self._rng.uniform(0, 0.05)):
                answer = await self._leaver.post(route, content=picture.data, headers=_image("*/*"))
                status = answer.status_code
        self.found.requests[f"POST {route}", status] += 1

    async def _talk_nonsense(self) -> None:
        body = self._rng.randbytes(self._rng.randint(0, 500))
        kind = self._rng.choice(["application/json", "multipart/form-data; boundary=x", "image/jpeg"])
        answer = await self._send("POST", "/v1/neighbours", content=body, headers={"content-type": kind})
        self.found.expect("nonsense", answer, {400, 415, 422})

    def _id(self) -> str:
        return f"item-{self._rng.randrange(_IDS)}"

    def _same(self, what: str, came: object, expected: object) -> None:
        if came != expected:
            self.found.surprises.append(f"{what}: {came}, not {expected}")


def settle(server: Server, found: Found) -> None:
    """Wait until nothing is held and the server's counts equal the clients'; fail where they never do."""
    wait_for(lambda: _metric(server, "infomax_queue_depth_items") == 0, server)
    wait_for(lambda: counted(server) == found.items, server)
    assert _metric(server, "infomax_thread_deaths_total") == 0
    assert server.is_ready()


def counted(server: Server) -> Counter[tuple[str, str]]:
    """Read the server's counts of the routes whose every answer was awaited."""
    return Counter(
        {
            (sample.labels["route"], sample.labels["outcome"]): int(sample.value)
            for sample in _samples(server)
            if sample.name == "infomax_items_total" and sample.labels["route"] in _COUNTED
        }
    )


def _metric(server: Server, name: str) -> float:
    return float(sum(sample.value for sample in _samples(server) if sample.name == name))


def _samples(server: Server) -> list[Any]:
    text = httpx.get(f"{server.url}/metrics").text
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def _image(accept: str) -> dict[str, str]:
    return {"content-type": "image/jpeg", "accept": accept}


def main(
    models: Annotated[Path, typer.Option(help="Folder of models.")] = Path("models"),
    model: Annotated[str, typer.Option(help="name or name/version.")] = "cifar10",
    seconds: Annotated[float, typer.Option(min=1)] = 3600.0,
    seed: Annotated[int, typer.Option(help="Of everything that is random.")] = 0,
) -> None:
    """Soak the server, write the result, and fail where something is wrong."""
    card = open_artefact(locate(models, model)).card
    rule = card.preprocessing
    with (
        tempfile.TemporaryDirectory(prefix="infomax-soak-") as folder,
        serving(models.absolute(), Path(folder), model=model, **SETTINGS) as server,
    ):
        soak = Soak(server.url, card.name, pictures(rule, seed), seed)
        workers = server.workers()
        end = perf_counter() + seconds
        with Memory(server, every=1.0) as memory:
            found = asyncio.run(soak.run(lambda: perf_counter() < end))
        if server.workers() != workers:
            found.surprises.append("a worker was replaced")
        if found.surprises:
            sys.stderr.write(server.log)
        else:
            settle(server, found)
    growth = memory.growth(seconds * _WARM_UP_SHARE)
    report = {
        "seconds": seconds,
        "requests": {
            f"{route} {status or 'left'}": n for (route, status), n in sorted(found.requests.items())
        },
        "images": {f"{route} {outcome}": n for (route, outcome), n in sorted(found.items.items())},
        "memory": {**memory.figures(), "course_mib": memory.course(), "growth": round(growth, 4)},
        "surprises": found.surprises[:_SHOWN],
    }
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
    if found.surprises or (seconds >= _LONG_SECONDS and growth > _MOST_GROWTH):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
