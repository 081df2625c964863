"""Refusals that name the format and the fault."""

from contract.errors import ImageError


def corrupt(image_format: str, reason: str) -> ImageError:
    """Make the refusal of a damaged file; `reason` is a clause."""
    return ImageError(
        "corrupt_image",
        f"The {image_format} cannot be decoded: {reason}. Check the file with an image viewer.",
    )


def truncated(image_format: str, reason: str) -> ImageError:
    """Make the refusal of a file whose end is missing; `reason` is a clause."""
    return ImageError(
        "truncated_image", f"The {image_format} ends before its last pixel: {reason}. Send the whole file."
    )


def unsupported_variant(image_format: str, variant: str, advice: str) -> ImageError:
    """Make the refusal of a valid file that this decoder does not read; `variant` is a clause."""
    return ImageError("unsupported_variant", f"The {image_format} is not decoded: {variant}. {advice}")


def undecodable(image_format: str, error: Exception) -> ImageError:
    """Translate what Pillow's decoders raise on hostile bytes, which is an open set of types."""
    reason = str(error).strip().rstrip(".") or "the decoder gave up"
    if "truncated" in reason.lower() or isinstance(error, EOFError):
        return truncated(image_format, reason)
    return corrupt(image_format, reason)
