"""Quota of an API key: images per second and per day, charged to the usage file."""

from dataclasses import dataclass

from service.errors import ServiceError, shown_seconds
from service.inference.results import Priority
from service.metrics import KEY_ITEMS
from service.quotas.api_keys import Key
from service.quotas.usage_file import Refusal, UsageFile


@dataclass(frozen=True, slots=True)
class KeyQuota:
    """Quota of the key of one request; implements `service.inference.quota.Quota`."""

    key: Key
    usage_file: UsageFile

    def charge(self, images: int, priority: Priority) -> float:
        """Charge images, all of them or none.

        Returns:
            0, or the seconds after which a stream, which waits for its rate, can be charged.

        Raises:
            ServiceError: 429 `rate_exceeded` (not for a stream) or `quota_exceeded`; 413 `too_many_items`
                for more than a whole day's images.
        """
        most = self.key.images_per_day
        if most is not None and images > most:
            raise ServiceError(
                413,
                "too_many_items",
                f"The request holds {images:,} images; the API key {self.key.id} may send {most:,} a day. "
                "Send fewer, or ask the operator for a higher limit.",
                limit=most,
            )
        refusal = self.usage_file.charge(self.key, images)
        if refusal is None:
            KEY_ITEMS.labels(self.key.id).inc(images)
            return 0.0
        if refusal.daily:
            raise self._quota_exceeded(refusal)
        if priority is Priority.INTERACTIVE:
            raise self._rate_exceeded(refusal)
        return refusal.seconds

    def give_back(self, images: int) -> None:
        """Return the charge for images that were refused after all."""
        self.usage_file.give_back(self.key, images)

    def _rate_exceeded(self, refusal: Refusal) -> ServiceError:
        return ServiceError(
            429,
            "rate_exceeded",
            f"The API key {self.key.id} may send {self.key.images_per_second:g} images a second and has sent "
            f"more. Send the request again in {shown_seconds(refusal.seconds)} seconds.",
            retry_after=refusal.seconds,
        )

    def _quota_exceeded(self, refusal: Refusal) -> ServiceError:
        return ServiceError(
            429,
            "quota_exceeded",
            f"The API key {self.key.id} may send {self.key.images_per_day:,} images a day and has sent "
            f"{refusal.used:,} today. The next day begins at midnight UTC, in {refusal.seconds:.0f} seconds.",
            limit=self.key.images_per_day,
            retry_after=refusal.seconds,
        )
