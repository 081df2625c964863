"""Messages between the parent and its workers about model versions, as JSON on the channel."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter
from pydantic_core import to_json

from service.models.version import Version


@dataclass(frozen=True)
class Prepare:
    """Order to load a version beside the served one, warm it up and test it.

    Attributes:
        number: number of the rollout.
        version: what to load.
    """

    number: int
    version: Version
    kind: Literal["prepare"] = "prepare"


@dataclass(frozen=True)
class Activate:
    """Order to answer with the version that was prepared for this rollout."""

    number: int
    kind: Literal["activate"] = "activate"


@dataclass(frozen=True)
class Drop:
    """Order to drop the version that was, or is being, prepared for this rollout."""

    number: int
    kind: Literal["drop"] = "drop"


@dataclass(frozen=True)
class VersionStatus:
    """State of a version that is not served.

    Attributes:
        entry: the entry of the settings that it belongs to.
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
    """States of all versions that are not served, oldest first."""

    statuses: tuple[VersionStatus, ...]
    kind: Literal["status_update"] = "status_update"


@dataclass(frozen=True)
class LoadResult:
    """Result of a load request.

    Attributes:
        token: token of the request.
        reason: why the version is not served; empty where it is.
    """

    token: str
    reason: str = ""
    kind: Literal["load_result"] = "load_result"


@dataclass(frozen=True)
class LoadRequest:
    """A client's request to load a version.

    Attributes:
        token: names the request in its result.
        entry: entry of the settings.
        version: version of that model; None for the version that the entry means now.
    """

    token: str
    entry: str
    version: int | None = None
    kind: Literal["load_request"] = "load_request"


@dataclass(frozen=True)
class Prepared:
    """Report that the version of this rollout is loaded, warm and tested."""

    number: int
    kind: Literal["prepared"] = "prepared"


@dataclass(frozen=True)
class Refused:
    """Report that the version of this rollout cannot be served, with the reason in one sentence."""

    number: int
    reason: str
    kind: Literal["refused"] = "refused"


@dataclass(frozen=True)
class Activated:
    """Report that the version of this rollout answers requests."""

    number: int
    kind: Literal["activated"] = "activated"


RolloutReport = Prepared | Refused | Activated
ParentMessage = Annotated[Prepare | Activate | Drop | StatusUpdate | LoadResult, Field(discriminator="kind")]
WorkerMessage = Annotated[LoadRequest | RolloutReport, Field(discriminator="kind")]

_PARENT_MESSAGES: TypeAdapter[ParentMessage] = TypeAdapter(ParentMessage)
_WORKER_MESSAGES: TypeAdapter[WorkerMessage] = TypeAdapter(WorkerMessage)


def write(message: ParentMessage | WorkerMessage) -> str:
    """Write a message as one line of JSON."""
    return to_json(message).decode()


def read_parent_message(text: str) -> ParentMessage:
    """Read what the parent wrote."""
    return _PARENT_MESSAGES.validate_json(text)


def read_worker_message(text: str) -> WorkerMessage:
    """Read what a worker wrote."""
    return _WORKER_MESSAGES.validate_json(text)
