"""What the parent tells its workers of model versions, and what they ask of it: JSON on the line."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from service.models.version import Version


@dataclass(frozen=True)
class Prepare:
    """Load this version beside what is served, warm it up and test it."""

    number: int
    version: Version
    kind: Literal["prepare"] = "prepare"


@dataclass(frozen=True)
class TakeUp:
    """Let the version that was prepared under this number answer from now on."""

    number: int
    kind: Literal["take_up"] = "take_up"


@dataclass(frozen=True)
class Drop:
    """The version that was, or is being, prepared under this number is not wanted after all."""

    number: int
    kind: Literal["drop"] = "drop"


@dataclass(frozen=True)
class Fate:
    """What became of a version that is not served.

    Attributes:
        entry: the entry of the settings that it was to stand for.
        id: `name/version`.
        state: `loading` into the workers, `failed`, or `retired` in favour of another.
        since: Unix time of the change.
        reason: why it failed, in a sentence.
    """

    entry: str
    id: str
    state: Literal["loading", "failed", "retired"]
    since: float
    reason: str = ""


@dataclass(frozen=True)
class News:
    """All that is known of versions that are not served."""

    fates: tuple[Fate, ...]
    kind: Literal["news"] = "news"


@dataclass(frozen=True)
class Outcome:
    """How a wish ended: what is served now, and why it is not what was wished for."""

    token: str
    reason: str = ""
    kind: Literal["outcome"] = "outcome"


@dataclass(frozen=True)
class Wish:
    """A client wants a version loaded: of this entry the newest, or this one."""

    token: str
    entry: str
    version: int | None = None


Order = Annotated[Prepare | TakeUp | Drop | News | Outcome, Field(discriminator="kind")]

_ORDERS: TypeAdapter[Order] = TypeAdapter(Order)
_WISHES = TypeAdapter(Wish)


def write(message: Order | Wish) -> str:
    """A message as one line of text."""
    kind: TypeAdapter[Order] | TypeAdapter[Wish] = _WISHES if isinstance(message, Wish) else _ORDERS
    return kind.dump_json(message).decode()  # type: ignore[arg-type]


def read_order(text: str) -> Order:
    return _ORDERS.validate_json(text)


def read_wish(text: str) -> Wish:
    return _WISHES.validate_json(text)
