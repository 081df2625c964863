"""What every record of a card is: read once, never changed, and nothing in it that nobody knows."""

from pydantic import BaseModel, ConfigDict


class CardPart(BaseModel):
    """A part of a card."""

    model_config = ConfigDict(frozen=True, extra="forbid")
