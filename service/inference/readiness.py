"""Readiness of a model, or of the service."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Readiness:
    """Whether requests are answered, and if not, why in one sentence."""

    ready: bool
    reason: str = ""
