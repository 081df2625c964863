"""What can go wrong between the service and its database."""

from contract.errors import InfomaxError
from service.errors import ServiceError


class IndexStartError(InfomaxError):
    """The database cannot be started, reached or prepared; the service does not start without it."""


class IndexInUseError(IndexStartError):
    """Another process has the folder of the embedded database."""


class IndexUnavailableError(ServiceError):
    """The database does not answer now. What was acknowledged is safe; the service reconnects by itself."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            503,
            "index_unavailable",
            f"The index does not answer ({reason}); try again later.",
            retry_after=2,
        )


class IndexReadOnlyError(IndexUnavailableError):
    """The database refuses writes; reads go on."""

    def __init__(self, reason: str) -> None:
        # Another sentence than its base's.
        super(IndexUnavailableError, self).__init__(
            503,
            "index_unavailable",
            f"The index takes no writes ({reason}). Make room on its disk, then send the request again.",
            retry_after=2,
        )
