"""Requests of the Open Inference Protocol V2: a tensor of encoded images, and what is wanted of them.

A body is JSON (https://github.com/kserve/open-inference-protocol). Where a header says how long the JSON is,
binary tensors stand behind it (Triton's extension_binary_data.md).
"""

from dataclasses import dataclass
from math import prod
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from contract.map_kinds import MapKind
from service.errors import ServiceError
from service.inputs.base64_image import decode_text
from service.inputs.images import json_object, no_image
from service.inputs.multipart import too_many_items
from service.inputs.parameters import parse

HEADER = "Inference-Header-Content-Length"
IMAGE = "image"
DATATYPE = "BYTES"
# Of the length before each element of a binary tensor.
_LENGTH_BYTES = 4
_SHOWN = 40
_MOST_OUTPUTS = 16


@dataclass(frozen=True, slots=True)
class WantedOutput:
    """An output that a request asks for by its name, as bytes or in the JSON."""

    name: str
    binary: bool


@dataclass(frozen=True, slots=True)
class Inference:
    """A request taken apart.

    Attributes:
        images: encoded images in order; they are not looked into.
        outputs: what is asked for; None for everything that the model gives.
        binary: whether outputs that are not named come as bytes.
        id: the client's name for the request, to be returned.
        seconds: how long the client waits; None without limit.
        kind: of the maps.
    """

    images: list[bytes]
    outputs: tuple[WantedOutput, ...] | None = None
    binary: bool = False
    id: str | None = None
    seconds: float | None = None
    kind: MapKind = MapKind.INFORMATION


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


# MLServer's clients say how they wrote a tensor. These two mean what is read here anyway: text in base64.
_InputCodec = Literal["base64", "str"]


class _InputParameters(_Strict):
    binary_data_size: int | None = Field(default=None, ge=0)
    content_type: _InputCodec | None = None


class _OutputParameters(_Strict):
    binary_data: bool | None = None
    content_type: Literal["np"] | None = None


class _RequestParameters(_Strict):
    content_type: _InputCodec | None = None
    binary_data_output: bool = False
    kind: Literal["information", "contribution", "contrast"] = "information"
    # In microseconds, as Triton has it; 0 is none.
    timeout: int = Field(default=0, ge=0, le=600_000_000)


class _Input(_Strict):
    name: str
    shape: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1, max_length=2)]
    datatype: str
    parameters: _InputParameters = _InputParameters()
    data: list[object] | None = None


class _RequestedOutput(_Strict):
    name: str
    parameters: _OutputParameters = _OutputParameters()


class _InferenceRequest(_Strict):
    inputs: Annotated[list[_Input], Field(min_length=1)]
    outputs: Annotated[list[_RequestedOutput], Field(max_length=_MOST_OUTPUTS)] | None = None
    id: str | None = None
    parameters: _RequestParameters = _RequestParameters()


def parse_inference(body: bytes, json_bytes: str | None, most: int) -> Inference:
    """Take a request apart.

    Args:
        body: the whole of it.
        json_bytes: what `HEADER` says; `"0"` makes the body one image and nothing else.
        most: images that one request may hold.

    Raises:
        ServiceError: 400 `invalid_json` or `invalid_tensor`, 413 `too_many_items`, 422 `invalid_parameter`,
            `no_image`, `invalid_base64` or `url_not_fetched`.
    """
    split = len(body) if json_bytes is None else _split(json_bytes, len(body))
    if split == 0 and body:
        return Inference([body], binary=True)
    request = parse(_InferenceRequest, json_object(body[:split]))
    if len(request.inputs) > 1 or request.inputs[0].name != IMAGE:
        names = ", ".join(f"{one.name[:_SHOWN]!a}" for one in request.inputs[:_MOST_OUTPUTS])
        raise _invalid(f"the request has the inputs {names}; here there is one, {IMAGE!a}")
    parameters = request.parameters
    return Inference(
        _images(request.inputs[0], body[split:], most),
        None if request.outputs is None else tuple(_wanted(one, parameters) for one in request.outputs),
        parameters.binary_data_output,
        request.id,
        parameters.timeout / 1e6 or None,
        MapKind(parameters.kind),
    )


def _split(text: str, length: int) -> int:
    if text.isascii() and text.isdecimal() and len(text) <= len(str(length)) and int(text) <= length:
        return int(text)
    raise _invalid(f"{HEADER} is {text[:_SHOWN]!a}, and the body has {length:,} bytes")


def _wanted(output: _RequestedOutput, parameters: _RequestParameters) -> WantedOutput:
    binary = output.parameters.binary_data
    return WantedOutput(output.name, parameters.binary_data_output if binary is None else binary)


def _images(tensor: _Input, behind: bytes, most: int) -> list[bytes]:
    if tensor.datatype != DATATYPE:
        raise _invalid(
            f"{IMAGE} has the datatype {tensor.datatype[:_SHOWN]!a}. Send encoded images (JPEG, PNG, …) as "
            f"{DATATYPE}, in JSON as base64"
        )
    count = prod(tensor.shape)
    if len(tensor.shape) > 1 and tensor.shape[1] != 1:
        raise _invalid(f"{IMAGE} has the shape {tensor.shape}; it is [N] or [N, 1], one element for an image")
    if count > most:
        raise too_many_items(most)
    size = tensor.parameters.binary_data_size
    if (size is None) == (tensor.data is None):
        raise _invalid(f"{IMAGE} needs either data or a binary_data_size")
    if tensor.data is not None:
        images = [decode_text(_element(one), f"data[{place}]") for place, one in enumerate(tensor.data)]
        behind_images = len(behind)
    else:
        assert size is not None  # noqa: S101 (one of the two is there)
        images, behind_images = _elements(behind[:size], most), len(behind) - size
    if behind_images:
        raise _invalid(f"the binary tensors have {len(behind):,} bytes and not those that the JSON announces")
    if size is not None and tensor.parameters.content_type is not None:
        raise _invalid(
            f"the content_type {tensor.parameters.content_type!a} is one of data in the JSON, and {IMAGE} "
            "is a binary tensor; leave the content_type out"
        )
    if not count and not images:
        raise no_image(f"the tensor {IMAGE} has no elements; send one for each image")
    if len(images) != count:
        raise _invalid(f"{IMAGE} has the shape {tensor.shape} and {len(images):,} elements")
    return images


def _element(value: object) -> object:
    """A tensor of shape [N, 1] may be written as lists of one."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _elements(data: bytes, most: int) -> list[bytes]:
    """Elements of a binary tensor: before each its length, four bytes with the lowest first."""
    elements: list[bytes] = []
    at = 0
    while at < len(data):
        start = at + _LENGTH_BYTES
        at = start + int.from_bytes(data[at:start], "little")
        if at > len(data):
            raise _invalid(f"element {len(elements)} of {IMAGE} is longer than the tensor")
        if len(elements) == most:
            raise too_many_items(most)
        elements.append(data[start:at])
    return elements


def _invalid(reason: str) -> ServiceError:
    return ServiceError(400, "invalid_tensor", f"The tensors of the request cannot be read: {reason}.")
