"""Base of the records of a card: read once, never changed, without unknown fields."""

from pydantic import BaseModel, ConfigDict


class CardPart(BaseModel):
    """A part of a card."""

    model_config = ConfigDict(frozen=True, extra="forbid")
