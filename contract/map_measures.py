"""Measures of a model's maps, as `infomax validate-maps` takes them and a card states them.

They are of one precision of the encoder, on images that nothing was fitted to.
"""

from typing import Annotated

from pydantic import Field

from contract.card_part import CardPart
from contract.map_kinds import MapKind
from contract.precision import Precision

Share = Annotated[float, Field(ge=0, le=1)]


class Curve(CardPart):
    """Deletion or insertion: cosine of the code to that of the whole image.

    Attributes:
        cosines: where the highest 1/8, 1/4, 1/2 of the cells turn grey, or all others do.
        mean: over these shares; lower is better for deletion, higher for insertion.
        standard_error: of that mean, over images.
    """

    cosines: tuple[float, ...]
    mean: float
    standard_error: float = Field(ge=0)


class MethodAttribution(CardPart):
    """How well a map's highest patches are those that the code is built on.

    Attributes:
        method: a kind of map, or what it is compared with.
        deletion, insertion: its curves.
        pointing: share of planted quadrants that are the brightest of four, by surroundings; chance is 1/4.
    """

    method: str
    deletion: Curve
    insertion: Curve
    pointing: dict[str, Share]


class Halves(CardPart):
    """Half-and-half images: share of those whose half of the first image is brighter than the other half.

    Attributes:
        cross: information against the code of the first image.
        contrast: contrast with the second image.
        images: how many.
    """

    cross: Share
    contrast: Share
    images: int = Field(ge=1)


class Bin(CardPart):
    """Pairs of a patch and a code whose claimed value rounds to the same whole number of nats.

    Attributes:
        claimed: mean claimed value of the image's own pairs, in nats.
        observed: the log ratio of frequencies, in nats.
        standard_error: of `observed`, over groups of images.
        own, other: number of pairs of either kind.
        above_ceiling: whether the bin lies above log K of the bank.
    """

    claimed: float
    observed: float
    standard_error: float = Field(ge=0)
    own: int = Field(ge=1)
    other: int = Field(ge=1)
    above_ceiling: bool


class Attribution(CardPart):
    """How well a model's maps point.

    Attributes:
        split: which images, in words.
        images: number of images of deletion and insertion, and of each kind of planted quadrant.
        methods: contribution, information, and what they are compared with.
        halves: of cross maps and contrast.
    """

    split: str
    images: int = Field(ge=1)
    methods: tuple[MethodAttribution, ...] = Field(min_length=1)
    halves: Halves

    def of_method(self, name: str) -> MethodAttribution | None:
        """Return the figures of a method; None where it was not measured."""
        return next((one for one in self.methods if one.method == name), None)


class Reliability(CardPart):
    """Claimed against observed nats of information.

    Attributes:
        split: which images, in words.
        images: how many; each is paired with the codes of all others.
        bins: from the lowest claim to the highest.
    """

    split: str
    images: int = Field(ge=1)
    bins: tuple[Bin, ...] = Field(min_length=1)


class KindMeasure(CardPart):
    """What a card states of one kind of map.

    Attributes:
        kind: of the maps.
        precision: of the encoder that was measured.
        split: which images, in words.
        attribution: of the kind's own maps; None for contrast.
        images: number of images of `attribution`.
        picks_half: share of half-and-half images of which the right half is the brighter one: cross maps for
            information, contrast with the other image for contrast; None for contribution. Chance is 1/2.
        halves: number of images of `picks_half`.
        reliability: of information; None for other kinds, and where too few pairs were seen.
    """

    kind: MapKind
    precision: Precision
    split: str
    attribution: MethodAttribution | None = None
    images: int | None = None
    picks_half: Share | None = None
    halves: int | None = None
    reliability: Reliability | None = None


def measure_of(
    kind: MapKind, precision: Precision, attribution: Attribution, reliability: Reliability | None
) -> KindMeasure:
    """Pick what a card's measures say of one kind."""
    own = attribution.of_method(kind.value)
    halves = attribution.halves
    picks = {MapKind.INFORMATION: halves.cross, MapKind.CONTRAST: halves.contrast}.get(kind)
    return KindMeasure(
        kind=kind,
        precision=precision,
        split=attribution.split,
        attribution=own,
        images=None if own is None else attribution.images,
        picks_half=picks,
        halves=None if picks is None else halves.images,
        reliability=reliability if kind is MapKind.INFORMATION else None,
    )
