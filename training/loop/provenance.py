"""What a checkpoint says about its making, beside the recipe."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Provenance:
    """On what a run was computed, and from what.

    Attributes:
        hardware: in words.
        torch: version.
        ranks: how many processes trained together.
        precision: of the encoder's products, "float32" or "bfloat16".
        images: SHA-256 of the images that the run was given (`ImageSet.sha256`); empty when not known.
    """

    hardware: str
    torch: str
    ranks: int
    precision: str
    images: str
