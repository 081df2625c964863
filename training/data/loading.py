"""A path to an `ImageSet`: open, decode or take from the cache, report what is unreadable."""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contract.preprocessing import Preprocessing
from contract.progress import Progress
from training.data import cache as cached
from training.data.cache import CacheEntry
from training.data.decoding import decode_all
from training.data.eviction import evict
from training.data.image_set import ImageSet
from training.data.opening import open_source
from training.data.source import Source
from training.errors import DataError

MAX_UNREADABLE = 0.01
_NAMED = 5

_log = logging.getLogger(__name__)


def load(
    source: Source | Path,
    rule: Preprocessing,
    *,
    cache: Path | None = None,
    max_unreadable: float = MAX_UNREADABLE,
) -> ImageSet:
    """Decode all images of a source by the model's rule.

    Args:
        source: an opened source, or a path that `open_source` understands.
        rule: how an image becomes pixels; the same record goes into the model card.
        cache: folder for decoded pixels, see `default_cache`; None decodes into memory every time.
        max_unreadable: share of images that may be unreadable; they are named in the log and left out.

    Raises:
        DataError: the path does not hold images, or more than that are unreadable.
    """
    source = open_source(source) if isinstance(source, Path) else source
    pixels, contents = _through_cache(source, rule, cache, max_unreadable)
    _check(source, contents.unreadable, max_unreadable)
    for image in contents.unreadable:
        _log.warning("left out %s", image)
    return ImageSet(
        pixels=pixels,
        labels=None if source.labels is None else source.labels[list(contents.rows)],
        class_names=source.class_names,
        names=contents.names,
    )


def _through_cache(
    source: Source, rule: Preprocessing, cache: Path | None, max_unreadable: float
) -> tuple[NDArray[np.uint8], CacheEntry]:
    if cache is not None:
        entry = cached.entry_folder(cache, source, rule)
        found = cached.read(entry, rule)
        evict(cache, 0 if found else source.count * rule.height * rule.width * 3)
        if found is not None:
            return found
        try:
            cached.write(entry, partial(_decode, source, rule, max_unreadable))
        except OSError as error:
            _log.warning("decoded images are not cached: %s cannot be written (%s)", cache, error)
        else:
            found = cached.read(entry, rule)
            if found is not None:
                return found
    pixels = np.empty((source.count, rule.height, rule.width, 3), np.uint8)
    rows = iter(pixels)
    contents = _decode(source, rule, max_unreadable, lambda image: np.copyto(next(rows), image))
    return pixels[: len(contents.rows)], contents


def _decode(
    source: Source, rule: Preprocessing, max_unreadable: float, keep: Callable[[NDArray[np.uint8]], None]
) -> CacheEntry:
    rows: list[int] = []
    names: list[str] = []
    unreadable: list[str] = []
    with Progress("decoding") as progress:
        for image in decode_all(source, rule):
            if image.pixels is None:
                unreadable.append(f"{image.name}: {image.problem}")
                _check(source, tuple(unreadable), max_unreadable)
            else:
                keep(image.pixels)
                rows.append(image.row)
                names.append(image.name)
            progress.update(image.row + 1, source.count)
    return CacheEntry(rows=tuple(rows), names=tuple(names), unreadable=tuple(unreadable))


def _check(source: Source, unreadable: tuple[str, ...], max_unreadable: float) -> None:
    if len(unreadable) > max_unreadable * source.count or len(unreadable) == source.count:
        named = "; ".join(unreadable[:_NAMED])
        raise DataError(
            f"At least {len(unreadable)} of the {source.count} images in {source.path} are unreadable, more "
            f"than the {max_unreadable:.1%} that may be left out: {named} Leave all of them out with "
            "--skip-unreadable, or replace them."
        )
