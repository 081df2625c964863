"""One number that a measure found, with what it takes to read it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Unit = Literal["nats", "share", "dimensions", "squared error", "similarity"]


class Figure(BaseModel):
    """One number about a frozen encoder.

    Attributes:
        measure: which file of `training.evaluation.measures` found it.
        name: what was measured.
        value: the number, in `unit`.
        unit: nats; a share of 0 to 1; dimensions; a mean squared error of pixels on the scale 0..1; or a
            similarity of at most 1.
        chance: what a code that says nothing would give; None where that is 0 or means nothing.
        limit: the value that no code can pass; None where there is none.
        images: held-out images that it was measured on.
    """

    model_config = ConfigDict(frozen=True)

    measure: str
    name: str
    value: float
    unit: Unit
    chance: float | None = None
    limit: float | None = None
    images: int
