"""Kinds of maps, each named for the question that it answers."""

from dataclasses import dataclass
from enum import StrEnum


class MapKind(StrEnum):
    """Kind of a map of an image's patches; the parameter `kind` of the service."""

    INFORMATION = "information"
    CONTRIBUTION = "contribution"
    CONTRAST = "contrast"

    @property
    def meaning(self) -> "Meaning":
        """Its question and its unit."""
        return _MEANINGS[self]


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a kind of map says.

    Attributes:
        question: that a patch's value answers.
        unit: of the values.
        label: of the scale of a picture.
    """

    question: str
    unit: str
    label: str

    @property
    def in_nats(self) -> bool:
        """Whether values are log ratios of probabilities."""
        return self.unit == "nats"


_MEANINGS = {
    MapKind.INFORMATION: Meaning(
        "How much likelier is the patch together with the code than by chance?",
        "nats",
        "pointwise MI with the image's own code, nats",
    ),
    MapKind.CONTRIBUTION: Meaning(
        "How far does the code move where the patch is replaced by the image's mean patch?",
        "relative distance",
        "contribution: relative distance of the code",
    ),
    MapKind.CONTRAST: Meaning(
        "How much more does the patch speak for this image than for the reference or the neighbours?",
        "nats",
        "for this image and against the others, nats",
    ),
}
