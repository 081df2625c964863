"""Protocol of what a call costs its sender; `service.quotas` implements it for API keys."""

from typing import Protocol

from service.inference.results import Priority


class Quota(Protocol):
    """Allowance that images are charged to."""

    def charge(self, images: int, priority: Priority) -> float:
        """Charge images, all of them or none.

        Returns:
            0, or the seconds after which a stream, which waits for its rate, can be charged.

        Raises:
            ServiceError: 429 `rate_exceeded` (not for a stream) or `quota_exceeded`; 413 `too_many_items`.
        """

    def give_back(self, images: int) -> None:
        """Return the charge for images that were refused after all."""
