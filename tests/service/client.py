"""The whole application in this process, behind a real HTTP client."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import openai

from service.app import create_app
from service.inference.model import Model
from service.runtime import Runtime
from tests.service.faults import settings


@asynccontextmanager
async def client(
    models: Path, index_url: str, model: Model | None = None, /, **changes: object
) -> AsyncIterator[httpx.AsyncClient]:
    """A started application over the tiny model and the database at `index_url`."""
    app = create_app(
        Runtime.load(settings(models, **changes), index_url, None if model is None else {"tiny": model})
    )
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://infomax") as http,
    ):
        yield http


def check_refusal(response: httpx.Response, status: int, code: str, says: str) -> None:
    """The answer is a problem with this status and code, and its sentence holds `says`."""
    problem = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert (response.status_code, problem["code"]) == (status, code), problem
    assert says in problem["detail"]


def openai_client(http: httpx.AsyncClient, key: str = "unused") -> openai.AsyncOpenAI:
    """The OpenAI client on top of another one, which it takes although it declares a successor's type."""
    return openai.AsyncOpenAI(
        base_url="http://infomax/v1",
        api_key=key,
        http_client=http,
        max_retries=0,
    )
