"""Modules made by a user's function: `[encoder] factory = "package:function"` with its arguments."""

import importlib
from collections.abc import Callable, Mapping

from torch import nn

from training.errors import RecipeError


def make_module(factory: str, arguments: Mapping[str, object]) -> nn.Module:
    """Import the function and call it.

    Args:
        factory: "package.module:function", or with a dotted path behind the colon, as of a class method.
        arguments: keyword arguments.

    Raises:
        RecipeError: it cannot be imported, refuses its arguments, or returns something else than a module.
    """
    package, colon, path = factory.partition(":")
    if not colon or not package or not path:
        raise RecipeError(
            f'encoder.factory is {factory!r}. Write it as "package:function", such as "timm:create_model".'
        )
    module = _call(factory, _find(factory, package, path), arguments)
    if not isinstance(module, nn.Module):
        raise RecipeError(
            f"encoder.factory = {factory!r} returned {type(module).__name__}, not a torch.nn.Module. "
            "Name a function that makes a model."
        )
    return module


def _find(factory: str, package: str, path: str) -> Callable[..., object]:
    try:
        found: object = importlib.import_module(package)
        for name in path.split("."):
            found = getattr(found, name)
    except ImportError as error:
        raise RecipeError(
            f"encoder.factory = {factory!r} cannot be imported ({error}). Install {package.split('.')[0]}, "
            "or name another function."
        ) from error
    except AttributeError as error:
        raise RecipeError(
            f"encoder.factory = {factory!r} does not exist ({error}). Name a function of {package}."
        ) from error
    if not callable(found):
        raise RecipeError(
            f"encoder.factory = {factory!r} is not callable. Name a function that makes a model."
        )
    return found


def _call(factory: str, function: Callable[..., object], arguments: Mapping[str, object]) -> object:
    try:
        return function(**arguments)
    except Exception as error:
        # A user's function raises what it likes; each means that the module was not made.
        given = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        raise RecipeError(
            f"encoder.factory = {factory!r} failed with ({given}): {type(error).__name__}: "
            f"{' '.join(str(error).split())}. Change encoder.arguments."
        ) from error
