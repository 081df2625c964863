"""How a run parts its images: set aside for an export's figures, held out to validate, trained on.

Everything is a function of the number of images, a seed and two shares. Of the images set aside, those that
equal another image pixel for pixel are left out of the figures. So the other parts follow from the number
alone.
"""

import hashlib
import logging
from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from training.data.image_set import ImageSet, split_rows
from training.data.pixel_rows import PixelArray
from training.errors import DataError

# Beside the seed, so that this draw is not the one of the validation split.
_STREAM = 1

_log = logging.getLogger(__name__)


class Shares(Protocol):
    """What a recipe says about its images.

    Attributes:
        seed: of both draws.
        held_out_share: share of all images that is set aside; nothing is fitted to them or chosen by them.
        validation_share: share of the others that is held out for choices.
    """

    @property
    def seed(self) -> int: ...
    @property
    def held_out_share(self) -> float: ...
    @property
    def validation_share(self) -> float: ...


def count_seen(count: int, shares: Shares) -> int:
    """Count the images that are not set aside, of `count`."""
    return len(_rows(count, shares)[1])


def count_fitted_and_validation(count: int, shares: Shares) -> tuple[int, int]:
    """Count the images that are trained on, and those that choices are made by, of `count`.

    Raises:
        DataError: a part would be empty.
    """
    validation, fitted = split_rows(count_seen(count, shares), shares.validation_share, shares.seed)
    return len(fitted), len(validation)


def seen(images: ImageSet, shares: Shares) -> ImageSet:
    """Take all images but those that are set aside.

    Raises:
        DataError: none would be left.
    """
    return images.take(_rows(len(images), shares)[1]) if shares.held_out_share else images


def fitted_and_validation(images: ImageSet, shares: Shares) -> tuple[ImageSet, ImageSet]:
    """Take the images that are trained on, and those that choices are made by; none of them is set aside.

    Raises:
        DataError: a part would be empty.
    """
    _, rows = _rows(len(images), shares)
    validation, fitted = split_rows(len(rows), shares.validation_share, shares.seed)
    return images.take(rows[fitted]), images.take(rows[validation])


def held_out(images: ImageSet, shares: Shares) -> ImageSet:
    """Take the images that are set aside, without those that are also among the others.

    Folders of users hold the same picture twice; the log says how many were left out for it.

    Raises:
        DataError: the recipe sets none aside.
    """
    drawn, rest = _rows(len(images), shares)
    if not len(drawn):
        raise DataError(
            f"The recipe sets none of its {len(images)} images aside (held_out_share = "
            f"{shares.held_out_share:g}). Name images that were kept apart."
        )
    known = set(pixel_digests(images.take(rest).pixels))
    pixels = pixel_digests(images.take(drawn).pixels)
    alone = drawn[[digest not in known for digest in pixels]]
    if len(alone) < len(drawn):
        _log.warning(
            "%d of the %d images that were set aside equal others, and are left out of the figures",
            len(drawn) - len(alone),
            len(drawn),
        )
    return images.take(alone)


def pixel_digests(pixels: PixelArray) -> Iterator[bytes]:
    """Hash each of the images [N, H, W, 3]."""
    return (hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in pixels)


def _rows(count: int, shares: Shares) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw the rows that are set aside, and the others, both ascending."""
    drawn = round(shares.held_out_share * count)
    if count and drawn >= count:
        raise DataError(
            f"held_out_share = {shares.held_out_share:g} leaves none of {count} images to train on. "
            "Lower it, or use more images."
        )
    if not drawn:
        return np.arange(0), np.arange(count)
    order = np.random.default_rng((shares.seed, _STREAM)).permutation(count)
    return np.sort(order[:drawn]), np.sort(order[drawn:])
