"""Requests made from the OpenAPI document: none is failed on, and each is answered as the document says."""

import asyncio
from collections.abc import Callable, Collection
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.core.result import Ok

from tests.service.client import client

EXAMPLES = 20
URL = "http://infomax"
# A client that allows a millisecond may be told that it was not enough.
HURRIED = ("deadline_exceeded", "deadline_unreachable")

Send = Callable[[httpx.Request], httpx.Response]


def prepared(case: schemathesis.Case[Any]) -> httpx.Request:
    """What the case says, byte by byte as requests would send it."""
    sent = requests.Request(**case.as_transport_kwargs(base_url=URL)).prepare()
    assert sent.method is not None
    assert sent.url is not None
    assert sent.body is None or isinstance(sent.body, bytes | str)
    # Headers may hold bytes beside text.
    headers: Any = dict(sent.headers)
    return httpx.Request(sent.method, sent.url, headers=headers, content=sent.body)


def ask(operation: Any, described: Collection[str], send: Send) -> None:
    """Send examples of one operation; `described` are the statuses that the document knows."""

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(operation.as_strategy())
    def every_answer_is_described(case: schemathesis.Case[Any]) -> None:
        answer = send(prepared(case))
        status = answer.status_code
        assert status < 500 or answer.json()["code"] in HURRIED, answer.text
        assert str(status) in described or f"{status // 100}XX" in described, answer.text

    every_answer_is_described()


def test_what_the_document_allows_is_answered_as_it_says(tiny_models: Path, index_url: str) -> None:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        http = runner.run(stack.enter_async_context(client(tiny_models, index_url)))
        document = runner.run(http.get("/openapi.json")).json()
        paths = document["paths"]
        asked: set[str] = set()
        try:
            for found in schemathesis.openapi.from_dict(document).get_all_operations():
                assert isinstance(found, Ok)
                operation = found.ok()
                described = paths[operation.path][operation.method]["responses"]
                ask(operation, described, lambda request: runner.run(http.send(request)))
                asked.add(operation.label)
        finally:
            runner.run(stack.aclose())
    assert asked == {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
