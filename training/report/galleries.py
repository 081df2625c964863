"""Images in rows: neighbours, and MI maps beside what they are of."""

from collections.abc import Iterator
from dataclasses import dataclass

from training.data import ImageSet
from training.report.evidence import Evidence
from training.report.thumbnails import heat_map, thumbnail

_SAME, _OTHER = "✓", "✗"


@dataclass(frozen=True)
class GalleryImage:
    """An image in a row.

    Attributes:
        picture: a data URI.
        alt, caption: what it is, in full and in short.
        mark: whether it is of the query's class; empty where that is unknown.
    """

    picture: str
    alt: str
    caption: str
    mark: str = ""


@dataclass(frozen=True)
class GalleryMap:
    """An image beside its MI map; the figures are in nats."""

    picture: str
    map: str
    alt: str
    caption: str
    mean: float
    low: float
    high: float


def neighbour_rows(evidence: Evidence) -> Iterator[list[GalleryImage]]:
    """Show for each example the query, then the training images that are nearest to it."""
    for found in evidence.neighbours:
        own = _class(evidence.held_out, found.query)
        row = [_shown(evidence.held_out, found.query, "query", own)]
        for hit, similarity in zip(found.hits, found.similarities, strict=True):
            name = _class(evidence.training, hit)
            mark = "" if own is None or name is None else _SAME if name == own else _OTHER
            row.append(_shown(evidence.training, hit, f"{similarity:.2f}", name, mark))
        yield row


def shown_maps(evidence: Evidence, reach: float) -> Iterator[GalleryMap]:
    """Draw maps on one scale from -reach to reach nats; nothing where the recipe gives none."""
    if evidence.maps is None:
        return
    for row, mi_map in zip(evidence.map_rows, evidence.maps, strict=True):
        pixels, name = evidence.held_out.pixels[row], _class(evidence.held_out, row)
        yield GalleryMap(
            thumbnail(pixels),
            heat_map(pixels, mi_map, reach),
            alt=f"Held-out image {evidence.held_out.names[row]}" + (f", {name}" if name else ""),
            caption=f"{name}, " if name else "",
            mean=float(mi_map.mean()),
            low=float(mi_map.min()),
            high=float(mi_map.max()),
        )


def _shown(images: ImageSet, row: int, said: str, name: str | None, mark: str = "") -> GalleryImage:
    caption = f"{name} {said}" if name else said
    return GalleryImage(thumbnail(images.pixels[row]), f"{caption}: {images.names[row]}", caption, mark)


def _class(images: ImageSet, row: int) -> str | None:
    if images.labels is None:
        return None
    name = images.class_names[images.labels[row]]
    # Classes without names are numbered.
    return f"class {name}" if name.isdigit() else name
