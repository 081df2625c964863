"""`infomax adopt`: from an encoder that was trained elsewhere to a model folder that can be served."""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from contract.preprocessing import ColorProfile, Preprocessing, ResizeRule
from training.cli.export import report
from training.cli.failures import plain_failures
from training.cli.options import (
    DEFAULT_LOSS,
    UNSTATED,
    EncoderPrecision,
    LargestLoss,
    Licence,
    Limits,
    ModelsFolder,
    NewVersion,
    SkipUnreadable,
    Summary,
)
from training.data import images, open_source
from training.errors import RecipeError
from training.export.adoption.adopt import Adoption
from training.export.adoption.adopt import adopt as adopt_trunk
from training.export.adoption.onnx_trunk import OnnxSource, onnx_trunk
from training.export.adoption.statistics import Channels, Statistics
from training.export.adoption.torch_trunk import TorchSource, torch_trunk
from training.export.adoption.trunk import Trunk
from training.export.model_card import Release
from training.export.model_folder import folder_of

# Of ImageNet, as torchvision and timm normalise with them.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_HELD_OUT_SHARE = 0.2
_UNITS = 256


def adopt(
    data: Annotated[Path, typer.Option(help="Images to fit embedding and critic to; labels only measure.")],
    name: Annotated[str, typer.Option(help="Name of the model: lower case letters, digits, '.', '_', '-'.")],
    features: Annotated[str, typer.Option(help="Layer or output that is the map of patches [B, C, M, M].")],
    factory: Annotated[
        str | None, typer.Option(help='Function that makes a PyTorch module: "package:function".')
    ] = None,
    argument: Annotated[
        list[str] | None, typer.Option(help="KEY=VALUE for the function; once for each.")
    ] = None,
    conv: Annotated[str | None, typer.Option(help="Module's layer that is pooled to the vector.")] = None,
    onnx: Annotated[Path | None, typer.Option(help="ONNX file, in the place of a module.")] = None,
    vector: Annotated[
        str | None, typer.Option(help="ONNX file's output that is the vector; default: --features, pooled.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Weights for the module: .safetensors or a state dict.")
    ] = None,
    size: Annotated[int, typer.Option(min=8, max=1024, help="Height and width of the input.")] = 224,
    mean: Annotated[Channels, typer.Option(help="Of each channel on the scale 0..1.")] = _MEAN,
    std: Annotated[Channels, typer.Option(help="Of each channel on the scale 0..1.")] = _STD,
    resize_rule: Annotated[ResizeRule, typer.Option(help="How images become the input.")] = "center_crop",
    color_profile: Annotated[ColorProfile, typer.Option(help="What becomes of ICC profiles.")] = "srgb",
    units: Annotated[int, typer.Option(min=2, help="Numbers of an embedding at most.")] = _UNITS,
    held_out: Annotated[
        Path | None, typer.Option(help="Images kept apart to measure with; default: a fifth of --data.")
    ] = None,
    models: ModelsFolder = Path("models"),
    version: NewVersion = 1,
    licence: Licence = UNSTATED,
    summary: Summary = None,
    data_name: Annotated[str | None, typer.Option(help="Which images these are, in words.")] = None,
    held_out_name: Annotated[str | None, typer.Option(help="Which images were kept apart.")] = None,
    limit: Limits = None,
    precision: EncoderPrecision = "fp32",
    largest_loss: LargestLoss = DEFAULT_LOSS,
    skip_unreadable: SkipUnreadable = False,
) -> None:
    """Make a model of an encoder that was trained elsewhere: embedding, critic, calibration and card."""
    with plain_failures():
        of_onnx, of_module = (vector,), (factory, conv, argument, weights)
        if onnx is None and (factory is None or conv is None or any(of_onnx)):
            raise typer.BadParameter("name --factory and --conv, or --onnx")
        if onnx is not None and any(of_module):
            raise typer.BadParameter("--onnx takes --features and --vector, and no module")
        if min(std) <= 0:
            raise RecipeError(
                f"--std is {', '.join(f'{each:g}' for each in std)}. Name three numbers above 0."
            )
        statistics = Statistics(mean, std)
        arguments = _arguments(argument or [])

        def trunk() -> Trunk:
            if onnx is not None:
                return onnx_trunk(OnnxSource(onnx, features, vector), statistics, size)
            return torch_trunk(
                TorchSource(factory or "", arguments, features, conv or "", weights), statistics, size
            )

        release = Release(
            name,
            version,
            licence,
            summary or f"{factory or onnx}, adopted as it is, with a critic for MI maps.",
            tuple(limit or ()) or ("It knows what its weights were trained on; that was not checked here.",),
            data_name or str(data),
            held_out_name or (str(held_out) if held_out else f"a fifth of {data}, drawn by seed 0"),
        )
        _run(
            trunk,
            Adoption(
                Preprocessing(width=size, height=size, resize_rule=resize_rule, color_profile=color_profile),
                units,
            ),
            release,
            _Paths(data, held_out, models),
            largest_loss if precision == "int8" else None,
            skip_unreadable=skip_unreadable,
        )


@dataclass(frozen=True)
class _Paths:
    data: Path
    held_out: Path | None
    models: Path


def _run(
    make_trunk: Callable[[], Trunk],
    adoption: Adoption,
    release: Release,
    paths: _Paths,
    largest_int8_loss: float | None,
    *,
    skip_unreadable: bool,
) -> None:
    """Adopt, and say how to serve the result.

    Raises:
        InfomaxError: before any image is decoded where that is possible.
    """
    folder_of(paths.models, release.name, release.version)
    sources = open_source(paths.data), None if paths.held_out is None else open_source(paths.held_out)
    trunk = make_trunk()
    training = images.load_images(sources[0], adoption.rule, skip_unreadable=skip_unreadable)
    if sources[1] is None:
        training, held_out = training.split(_HELD_OUT_SHARE, adoption.seed)
    else:
        held_out = images.load_images(sources[1], adoption.rule, skip_unreadable=skip_unreadable)
    artefact = adopt_trunk(
        trunk,
        adoption,
        release,
        training,
        held_out,
        paths.models,
        largest_int8_loss=largest_int8_loss,
    )
    report(artefact, paths.models)


def _arguments(given: list[str]) -> dict[str, bool | int | float | str]:
    """Read KEY=VALUE: numbers and truth values as TOML writes them, all else as text.

    Raises:
        RecipeError: one has no KEY.
    """
    arguments: dict[str, bool | int | float | str] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key.isidentifier():
            raise RecipeError(f"--argument is {text!r}. Write it as KEY=VALUE, such as pretrained=true.")
        try:
            read = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            read = value
        arguments[key] = read if isinstance(read, bool | int | float | str) else value
    return arguments
