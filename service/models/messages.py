"""Messages between the parent and its workers about model versions, as JSON on the channel."""

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
class Activate:
    """Answer with the version that was prepared under this number."""

    number: int
    kind: Literal["activate"] = "activate"


@dataclass(frozen=True)
class Drop:
    """The version that was, or is being, prepared under this number is not wanted after all."""

    number: int
    kind: Literal["drop"] = "drop"


@dataclass(frozen=True)
class VersionStatus:
    """State of a version that is not served.

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
class StatusUpdate:
    """States of all versions that are not served."""

    statuses: tuple[VersionStatus, ...]
    kind: Literal["status_update"] = "status_update"


@dataclass(frozen=True)
class LoadResult:
    """How a load request ended."""

    token: str
    reason: str = ""
    kind: Literal["load_result"] = "load_result"


@dataclass(frozen=True)
class LoadRequest:
    """A client wants a version loaded: of this entry the newest, or this one."""

    token: str
    entry: str
    version: int | None = None


ParentMessage = Annotated[Prepare | Activate | Drop | StatusUpdate | LoadResult, Field(discriminator="kind")]

_PARENT_MESSAGES: TypeAdapter[ParentMessage] = TypeAdapter(ParentMessage)
_LOAD_REQUESTS = TypeAdapter(LoadRequest)


def write(message: ParentMessage | LoadRequest) -> str:
    """A message as one line of text."""
    kind: TypeAdapter[ParentMessage] | TypeAdapter[LoadRequest] = (
        _LOAD_REQUESTS if isinstance(message, LoadRequest) else _PARENT_MESSAGES
    )
    return kind.dump_json(message).decode()  # type: ignore[arg-type]


def read_message(text: str) -> ParentMessage:
    return _PARENT_MESSAGES.validate_json(text)


def read_load_request(text: str) -> LoadRequest:
    return _LOAD_REQUESTS.validate_json(text)
