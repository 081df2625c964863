"""Clients that store, replace and delete items."""

import random
import threading
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress

import httpx
import numpy as np
import orjson

from bench.kill_rounds.expected import Expected
from tests.pictures import photo

_IDS_EACH = 400
_MOST_IN_STREAM = 200
_NDJSON = {"content-type": "application/x-ndjson"}


class Writer:
    """A client that changes items of its own, one request after the other, while its block runs.

    Every other item is an image, whose regions are kept too; the rest are bare vectors.
    """

    def __init__(self, url: str, expected: Expected, number: int, dimensions: int, seed: int) -> None:
        self._url = url
        self._expected = expected
        self._name = f"writer-{number}"
        self._dimensions = dimensions
        self._rng = random.Random(seed)
        self._versions = iter(range(seed * 10**6, 10**12))
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> "Writer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _write(self) -> None:
        deeds: tuple[Callable[[httpx.Client], None], ...] = (self._put, self._put, self._delete, self._stream)
        with httpx.Client(base_url=self._url, timeout=60) as client:
            while not self._ended.is_set():
                # A killed server refuses or drops the connection: the change stays under way.
                with suppress(httpx.TransportError):
                    self._rng.choice(deeds)(client)

    def _id(self) -> str:
        return f"{self._name}/{self._rng.randrange(_IDS_EACH)}"

    def _item(self) -> tuple[str, int, dict[str, object]]:
        item_id, version = self._id(), next(self._versions)
        self._expected.begin(item_id, version)
        metadata = {"version": version, "image": version % 2 == 0}
        if metadata["image"]:
            return item_id, version, {"image": b64encode(photo(version)).decode(), "metadata": metadata}
        vector = np.random.default_rng(version).standard_normal(self._dimensions).round(4).tolist()
        return item_id, version, {"vector": vector, "metadata": metadata}

    def _put(self, client: httpx.Client) -> None:
        item_id, version, body = self._item()
        if client.put(f"/v1/items/{item_id}", json=body).status_code == 200:
            self._expected.acknowledge(item_id, version)

    def _delete(self, client: httpx.Client) -> None:
        item_id = self._id()
        self._expected.begin(item_id, None)
        if client.delete(f"/v1/items/{item_id}").status_code in (204, 404):
            self._expected.acknowledge(item_id, None)

    def _stream(self, client: httpx.Client) -> None:
        items = [self._item() for _ in range(self._rng.randint(1, _MOST_IN_STREAM))]
        body = b"\n".join(orjson.dumps({"id": item_id, **item}) for item_id, _, item in items)
        last = {item_id: place for place, (item_id, _, _) in enumerate(items)}
        with client.stream("POST", "/v1/items", content=body, headers=_NDJSON) as answer:
            for line in map(orjson.loads, answer.iter_lines()):
                if line.get("status") == "ok":
                    item_id, version, _ = items[line["index"]]
                    # A later line of the same stream may have replaced it already.
                    if last[item_id] == line["index"]:
                        self._expected.acknowledge(item_id, version)
