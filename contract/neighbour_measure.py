"""How often a neighbour is right, as `infomax validate-neighbours` measures it and a card states it."""

from pydantic import Field

from contract.card_part import CardPart
from contract.map_measures import Share


class NeighbourMeasure(CardPart):
    """Share of neighbours with the class of the query, above and below a cosine.

    Attributes:
        cosine: from which on a neighbour is at least as likely right as wrong; 1 where none is enough.
        above, below: share that is right with this cosine or more, and with less; None where there are none,
            `above` also where no cosine is enough.
        neighbours: of each image, among the others.
        images: how many, which nothing was fitted to.
        split: which images these are, in words.
    """

    cosine: float = Field(ge=-1, le=1)
    above: Share | None
    below: Share | None
    neighbours: int = Field(ge=1)
    images: int = Field(ge=2)
    split: str
