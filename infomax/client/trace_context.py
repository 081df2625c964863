"""The caller's span, carried on to the service where the caller uses OpenTelemetry."""

import sys


def trace_headers() -> dict[str, str]:
    """Return `traceparent` and what else the caller's propagators add; nothing without OpenTelemetry."""
    # A caller that has a span has imported this. Nothing is imported for the others.
    if "opentelemetry.trace" not in sys.modules:
        return {}
    from opentelemetry.propagate import inject

    carrier: dict[str, str] = {}
    inject(carrier)
    return carrier
