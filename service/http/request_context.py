"""State of one request, from its arrival until it is recorded."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import HTTPConnection
from starlette.types import Scope

from service.inference.deadline import Deadline
from service.models.instance import ModelInstance
from service.quotas.api_keys import Key
from service.quotas.quota import KeyQuota

_NAME = "context"


@dataclass(slots=True)
class RequestContext:
    """State of one request.

    Attributes:
        request_id: chosen by the client, or made here.
        key: the API key; None where no keys are asked for.
        quota: of that key; images are charged to it.
        deadline: None where the client has none, or the route takes none.
        served: the model version that answers; None before it is known.
        client_sends: whether more of a stream's body is to come, while its answers are kept for a client that
            does not read them yet; None where the route keeps none.
        disconnected: whether the client has closed the connection.
        waiting: task that is cancelled when it does; None where none is.
    """

    request_id: str
    key: Key | None = None
    quota: KeyQuota | None = None
    deadline: Deadline | None = None
    served: ModelInstance | None = None
    client_sends: Callable[[], bool] | None = None
    disconnected: bool = False
    waiting: "asyncio.Task[object] | None" = None

    def disconnect(self) -> None:
        """Note that the client has closed the connection, and cancel what waits for its answer."""
        if self.disconnected:
            return
        self.disconnected = True
        if self.waiting is not None:
            self.waiting.cancel()

    def use(self, served: ModelInstance) -> None:
        """Keep a model version until `release`, even where another takes its place meanwhile."""
        served.begin()
        self.served = served

    def release(self) -> None:
        """Let the model version and the body go: the request is over."""
        self.client_sends = None
        if self.served is not None:
            self.served.end()
            self.served = None


def begin_context(scope: Scope, request_id: str) -> RequestContext:
    """Give a request its context."""
    context = RequestContext(request_id)
    scope.setdefault("state", {})[_NAME] = context
    return context


def find_context(scope: Scope) -> RequestContext | None:
    """Return the context of a request; None where none was begun."""
    context: RequestContext | None = scope["state"].get(_NAME)
    return context


def context_of(request: HTTPConnection) -> RequestContext:
    """Return the context of a request that `RequestMiddleware` let in."""
    context: RequestContext = request.scope["state"][_NAME]
    return context
