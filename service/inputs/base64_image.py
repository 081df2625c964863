"""An image as text in JSON: base64, or a data URI (RFC 2397)."""

import binascii

from service.errors import ServiceError

_SHOWN = 32


def decode_text(value: object, place: str) -> bytes:
    """Return the image's encoded bytes.

    Args:
        value: as a JSON parser returned it.
        place: where it stood, for the message.

    Raises:
        ServiceError: 422 `invalid_base64`, or `url_not_fetched` for a link.
    """
    if not isinstance(value, str):
        raise _invalid(place, f"must be a string with an image as base64, and is {kind_of(value)}")
    text = value
    if text[:5].lower() == "data:":
        header, comma, text = text.partition(",")
        if not comma or not header.lower().endswith(";base64"):
            raise _invalid(place, "is a data URI, but not of the form data:image/jpeg;base64,...")
    elif text[:8].lower().startswith(("http://", "https://")):
        raise ServiceError(
            422,
            "url_not_fetched",
            f"{place} is a link, and this service fetches nothing. Send the image itself, as base64.",
        )
    if "\n" in text:
        # The base64 program breaks its lines.
        text = text.replace("\r", "").replace("\n", "")
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:
        shown = ascii(value[:_SHOWN])
        raise _invalid(place, f"(starting {shown}) is not base64 of an image: {error}") from error


def _invalid(place: str, reason: str) -> ServiceError:
    return ServiceError(422, "invalid_base64", f"{place} {reason.rstrip('.')}.")


def kind_of(value: object) -> str:
    """Name what a JSON parser returned, as JSON does."""
    names = {
        dict: "an object",
        list: "a list",
        str: "a string",
        bool: "true or false",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), "null")
