"""The images and parameters of one request, in whichever of three ways they were sent.

A raw body is one image. In multipart/form-data every file is an image and every other field a parameter.
In JSON one member holds images as base64, the others are parameters. Parameters of the query count in
all three.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from fastapi import Request

from contract.file_names import REMEDY, is_file_name
from service.errors import ServiceError
from service.inputs.base64_image import decode_text, kind_of
from service.inputs.body import media_type, read_body
from service.inputs.json_text import read_json
from service.inputs.multipart import Part, parse_multipart, too_many_items
from service.inputs.parameters import Parameters, Text, merge, parse, query_of
from service.settings import Settings

_FORM_START = 64

P = TypeVar("P", bound=Parameters)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a route's images stand.

    Attributes:
        member: the JSON member with the image or the images.
        several: more than one is allowed.
        named: names of further images, each of them one and optional, as JSON members and form files.
    """

    member: str
    several: bool
    named: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Payload(Generic[P]):
    """A request taken apart.

    Attributes:
        parameters: of the request, checked.
        images: encoded images in order; none where JSON, or a form, names none.
        named: the further images of the layout that were sent.
    """

    parameters: P
    images: list[bytes]
    named: Mapping[str, bytes] = field(default_factory=dict)


async def read_payload(
    request: Request, parameters: type[P], layout: Layout, settings: Settings
) -> Payload[P]:
    """Read a request's body and take it apart; the images are not looked into.

    Parameters are checked before images: one that says what the input is decides what is wrong with it.

    Raises:
        ServiceError: 413 `request_too_large` or `too_many_items`, 415 `unsupported_media_type`, 400
            `invalid_json` or `malformed_multipart`, 422 `invalid_base64`, `url_not_fetched`,
            `one_image_expected` or `invalid_parameter`.
    """
    kind = media_type(request)
    query = query_of(request)
    most = settings.max_request_items
    if kind == "application/json":
        body = await read_body(request, settings.max_request_bytes)
        return _from_json(body, parameters, layout, query, most)
    if kind == "multipart/form-data":
        body = await read_body(request, settings.max_request_bytes)
        parts = parse_multipart(request.headers["content-type"], body, most)
        return _from_parts(parts, parameters, layout, query, most)
    if kind in ("", "application/octet-stream") or kind.startswith("image/"):
        checked = parse(parameters, merge(query))
        return Payload(checked, [await read_body(request, settings.max_request_bytes)])
    if kind == "application/x-www-form-urlencoded":
        # curl names this type for --data-binary; a form of that type is printable, an image is not.
        body = await read_body(request, settings.max_request_bytes)
        start = body[:_FORM_START]
        if not body or not (start.isascii() and start.decode().isprintable()):
            return Payload(parse(parameters, merge(query)), [body])
    raise ServiceError(
        415,
        "unsupported_media_type",
        f"A body of type {kind[:_FORM_START]!a} is not read. Send an image as image/jpeg (or its own "
        "type, or application/octet-stream), several as multipart/form-data, or application/json.",
    )


def json_object(body: bytes) -> dict[str, Any]:
    """Return the members of a body that is a JSON object.

    Raises:
        ServiceError: 400 `invalid_json`.
    """
    if not body:
        raise _invalid_json("it is empty")
    try:
        members = read_json(body)
    except ValueError as error:
        if is_file_name(body):
            raise _invalid_json(f"it is the name of a file; {REMEDY}") from error
        raise _invalid_json(f"it cannot be parsed ({error})") from error
    if not isinstance(members, dict):
        raise _invalid_json(f"it is {kind_of(members)} and not an object")
    return members


def no_image(where: str) -> ServiceError:
    """Refuse a request that needs an image and has none."""
    return ServiceError(422, "no_image", f"The request holds no image: {where}.")


def _from_json(
    body: bytes, parameters: type[P], layout: Layout, query: list[tuple[str, Text]], most: int
) -> Payload[P]:
    members = json_object(body)
    given = {name: members.pop(name) for name in (layout.member, *layout.named) if name in members}
    checked = parse(parameters, merge(query, members.items()), (layout.member, *layout.named))
    images = _from_member(given.pop(layout.member), layout, most) if layout.member in given else []
    return Payload(checked, images, {name: decode_text(value, name) for name, value in given.items()})


def _from_member(value: object, layout: Layout, most: int) -> list[bytes]:
    if not layout.several or not isinstance(value, list):
        return [decode_text(value, layout.member)]
    if not value:
        raise no_image(f"the list {layout.member} is empty; put each image into it as base64")
    if len(value) > most:
        raise too_many_items(most)
    return [decode_text(one, f"{layout.member}[{place}]") for place, one in enumerate(value)]


def _from_parts(
    parts: list[Part], parameters: type[P], layout: Layout, query: list[tuple[str, Text]], most: int
) -> Payload[P]:
    fields = [(part.name, Text(part.text)) for part in parts if not part.is_file]
    checked = parse(parameters, merge(query, fields))
    files = [part for part in parts if part.is_file]
    named = merge((part.name, part.content) for part in files if part.name in layout.named)
    images = [part.content for part in files if part.name not in layout.named]
    if len(images) > most:
        raise too_many_items(most)
    if len(images) > 1 and not layout.several:
        raise one_image_expected(len(images), "send one request for each")
    return Payload(checked, images, named)


def one_image_expected(count: int, remedy: str) -> ServiceError:
    """Refuse several images where the answer is about one."""
    return ServiceError(422, "one_image_expected", f"The request holds {count} images; {remedy}.", limit=1)


def _invalid_json(reason: str) -> ServiceError:
    return ServiceError(400, "invalid_json", f"The body is not the JSON expected here: {reason}.")
