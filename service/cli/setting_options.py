"""Options of the command line, made of the service's settings."""

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from service.settings import Settings, load_settings

_METAVARS = {int: "<int>", float: "<float>", Path: "<path>"}


def with_settings(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command an option for each setting, and call it with the settings.

    Args:
        names: fields of `Settings` to make options of; none for all of them.
    """
    chosen = names or tuple(Settings.model_fields)

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = [each for each in signature(command).parameters.values() if each.name != "settings"]
        options = [_option(name, Settings.model_fields[name]) for name in chosen]

        @wraps(command)
        def run(**given: object) -> None:
            values = {name: given.pop(name) for name in chosen}
            set_here = {name: value for name, value in values.items() if value is not None}
            command(settings=load_settings(set_here), **given)

        # What typer reads.
        run.__signature__ = Signature([*own, *options])  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in (*own, *options)}
        return run

    return decorate


def default_text(name: str) -> str:
    """Default of a field as text; empty where it is None or depends on the machine."""
    field = Settings.model_fields[name]
    return "" if field.default in (None, PydanticUndefined) else str(field.default)


def _option(name: str, field: FieldInfo) -> Parameter:
    """One option; its value stays text, so that settings are validated in one place."""
    kind = _kind(field.annotation)
    text = field.description or ""
    if kind is SecretStr:
        text += "; other users of a machine can read command lines, but not variables"
    if kind is not bool and default_text(name):
        text += f"  [default: {default_text(name)}]"
    info = typer.Option(None, help=text, metavar=None if kind is bool else _metavar(kind), show_default=False)
    annotation = bool | None if kind is bool else str | None
    return Parameter(name, Parameter.KEYWORD_ONLY, default=info, annotation=annotation)


def _kind(annotation: Any) -> Any:
    """The type of a field, without None."""
    kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
    return kinds[0] if kinds and get_origin(annotation) is not Literal else annotation


def _metavar(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return f"<{'|'.join(get_args(kind))}>"
    return _METAVARS.get(kind, "<str>")
