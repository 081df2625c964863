"""What decoding says of bytes that it refuses."""

import pytest

from contract.errors import ImageError
from contract.image_limits import ImageLimits
from contract.images import decode
from contract.preprocessing import Preprocessing

RULE = Preprocessing(height=32, width=32)


def refusal(data: bytes, limits: ImageLimits | None = None) -> ImageError:
    """Return the error of an image that must not be decoded."""
    with pytest.raises(ImageError) as caught:
        decode(data, RULE, limits)
    assert str(caught.value).endswith(".")
    return caught.value
