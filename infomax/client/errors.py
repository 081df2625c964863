"""Errors of the client."""


class ClientError(Exception):
    """A request that has no answer; the base of all errors of this package."""


class ServiceUnreachableError(ClientError):
    """The service does not answer: the connection failed or ended early."""


class DeadlineExceededError(ClientError):
    """The time that the caller allowed is over."""


class RequestRefusedError(ClientError):
    """The service refused a request as a whole.

    Attributes:
        status: HTTP status; 0 where the refusal ended a stream that had begun.
        code: stable reason, one of docs/errors.md; `http_<status>` where something else answered, as a proxy.
        retry_after: seconds after which the same request is expected to succeed.
        limit: the limit that was exceeded, where there is one.
        setting: the variable that raises it.
        request_id: id of the request in the log of the service.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        retry_after: float | None = None,
        limit: int | None = None,
        setting: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after
        self.limit = limit
        self.setting = setting
        self.request_id = request_id


class ImageInputError(ClientError):
    """An image that cannot be read, or fetched, before it is sent.

    Attributes:
        code: `unreadable_file`, `image_too_large`, `fetch_failed` or `unsupported_input`.
        message: a sentence.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class JournalError(ClientError):
    """A journal belongs to other items, or cannot be read or written."""


TEMPORARY_CODES = frozenset(
    {
        "deadline_unreachable",
        "index_unavailable",
        "not_ready",
        "overloaded",
        "quota_exceeded",
        "rate_exceeded",
        "shutting_down",
        "too_many_connections",
    }
)
"""Codes of docs/errors.md with which the same image, sent again later, may succeed."""

_TEMPORARY_STATUS = (408, 429, 502, 503, 504)


def is_temporary(error: BaseException) -> bool:
    """Tell whether the same request may succeed when it is sent again."""
    if isinstance(error, RequestRefusedError):
        return error.status in _TEMPORARY_STATUS or error.code in TEMPORARY_CODES
    return isinstance(error, ServiceUnreachableError)
