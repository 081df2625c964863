"""Choice of an answer's format by the Accept header (RFC 9110, section 12.5.1)."""

from collections.abc import Sequence

from service.errors import ServiceError

JSON = "application/json"
NPY = "application/x-npy"
ARROW = "application/vnd.apache.arrow.stream"
PNG = "image/png"

_SHOWN = 80


def choose(accept: str, offered: Sequence[str]) -> str:
    """Choose the offered type that the client prefers; among equals the first one.

    Args:
        accept: the header; an empty one accepts everything.
        offered: media types, the default first.

    Raises:
        ServiceError: 406 `not_acceptable`.
    """
    if accept in ("", "*/*", offered[0]):
        return offered[0]
    ranges = _ranges(accept)
    best = max(offered, key=lambda media_type: _quality(media_type, ranges))
    if _quality(best, ranges) <= 0:
        raise ServiceError(
            406,
            "not_acceptable",
            f"The route makes none of {accept[:_SHOWN]!a}. Accept one of {', '.join(offered)}.",
        )
    return best


def _ranges(accept: str) -> dict[str, float]:
    """Read the quality of each media range; a range with an unreadable quality is left out."""
    ranges = {}
    for entry in accept.lower().split(","):
        media_range, *parameters = (part.strip() for part in entry.split(";"))
        weights = [parameter[2:] for parameter in parameters if parameter.startswith("q=")]
        try:
            quality = float(weights[0]) if weights else 1.0
        except ValueError:
            continue
        if 0 <= quality <= 1:
            ranges[media_range] = quality
    return ranges


def _quality(media_type: str, ranges: dict[str, float]) -> float:
    """Return the quality of the most specific range that covers a media type."""
    for covering in (media_type, media_type.split("/")[0] + "/*", "*/*"):
        if covering in ranges:
            return ranges[covering]
    return 0.0
