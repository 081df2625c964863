"""A finished run to a model folder: two proved graphs, measured calibration and quality, one card."""

import base64
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from contract.artefact import Artefact, open_artefact
from contract.card import (
    CARD_FILE,
    CRITIC_FILE,
    ENCODER_FILE,
    Calibration,
    Golden,
    ModelCard,
    Quality,
    Shapes,
    Training,
)
from contract.preprocessing import Preprocessing
from training import calibration, checkpoint
from training.data import ImageSet
from training.encoders import Encoder, build_encoder
from training.errors import ExportError
from training.graphs import CriticGraph, EncoderGraph
from training.monitor import encode
from training.onnx_files import OPSET, check_equal, convert, digest, write
from training.recipe import Recipe
from training.serving_critic import ServingCritic, fit

_BANK = 1024
_GOLDEN_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Release:
    """What a model is called and said to be.

    Attributes:
        name, version: the model's id; the folder is `<models>/<name>/<version>`.
        licence: of the weights.
        summary: one or two sentences for the card.
        limits: what the model is not good for, a sentence each.
        data: which images trained it, for the card.
        held_out: name of the split that every figure is measured on.
    """

    name: str
    version: int
    licence: str
    summary: str
    limits: tuple[str, ...]
    data: str
    held_out: str


@dataclass(frozen=True)
class TrainedEncoder:
    """An encoder with the record of its run."""

    encoder: Encoder
    recipe: Recipe
    epochs: int
    seconds: float


def load_run(folder: Path) -> TrainedEncoder:
    """Read the encoder out of a run's checkpoint.

    Raises:
        TrainingError: there is no usable checkpoint.
    """
    state = checkpoint.load(folder)
    recipe = Recipe.model_validate_json(state["recipe"])
    encoder = build_encoder(recipe.encoder.name, recipe.encoder.code_units, recipe.input_size)
    prefix = "encoder."
    weights = {k.removeprefix(prefix): v for k, v in state["learner"].items() if k.startswith(prefix)}
    encoder.load_state_dict(weights)
    return TrainedEncoder(encoder.eval(), recipe, state["step"] // state["steps_per_epoch"], state["seconds"])


def export(
    trained: TrainedEncoder, release: Release, training: ImageSet, held_out: ImageSet, models: Path
) -> Artefact:
    """Fit the serving critic, prove the graphs, measure them on `held_out` and write the model folder.

    Args:
        trained: the encoder and its recipe.
        release: names and statements for the card.
        training: the images the encoder was trained on, whole: the recipe's own split is taken again.
        held_out: images that nothing was fitted to or chosen by.
        models: the folder that holds `<name>/<version>`.

    Raises:
        ExportError: a graph differs from PyTorch by more than 1e-4, the version exists, or there are fewer
            images than the banks of the calibration need.
    """
    folder = models / release.name / str(release.version)
    if folder.exists():
        raise ExportError(f"{folder} exists already; a version is written once, so choose the next number.")
    fit_images, validation = training.split(trained.recipe.validation_share, trained.recipe.seed)
    if len(fit_images.pixels) < 2 * _BANK:
        raise ExportError(
            f"{len(fit_images.pixels)} training images are too few: calibration needs {2 * _BANK} for its banks."
        )
    critic, codes = _fit_critic(trained, fit_images, validation)
    encoder_graph, encoder_model = _encoder_model(trained, held_out)
    critic_model = _critic_model(encoder_graph, critic, codes[:_BANK], held_out)
    encoder_session, critic_session = _session(encoder_model), _session(critic_model)
    measured = calibration.measure(
        encoder_session,
        critic_session,
        held_out.pixels,
        codes[_BANK : 2 * _BANK].numpy(),
        bank_size=_BANK,
        split=release.held_out,
    )
    quality = measure_quality(encoder_session, training, held_out, release.held_out)
    card = _card(
        trained, release, training, encoder_model, critic_model, measured, quality, held_out.pixels[0]
    )
    _write(card, encoder_model, critic_model, folder)
    return open_artefact(folder)


def _fit_critic(
    trained: TrainedEncoder, images: ImageSet, validation: ImageSet
) -> tuple[ServingCritic, torch.Tensor]:
    """The serving critic, and the codes [N, Y] of the images it was fitted on, in a shuffled order."""
    seen = encode(trained.encoder, torch.from_numpy(images.pixels))
    held = encode(trained.encoder, torch.from_numpy(validation.pixels))
    critic, _ = fit(seen.features, seen.code, (held.features, held.code), seed=trained.recipe.seed)
    order = torch.randperm(len(seen.code), generator=torch.Generator().manual_seed(trained.recipe.seed))
    return critic, seen.code[order]


def _encoder_model(trained: TrainedEncoder, images: ImageSet) -> tuple[EncoderGraph, onnx.ModelProto]:
    graph = EncoderGraph(trained.encoder, trained.recipe.embedding_layer).eval()
    examples = (torch.from_numpy(images.pixels[:64]),)
    model = convert(graph, (examples[0][:2],), ("image",), graph.OUTPUTS)
    check_equal(model, graph, examples)
    return graph, model


def _critic_model(
    encoder_graph: EncoderGraph, critic: ServingCritic, bank: torch.Tensor, images: ImageSet
) -> onnx.ModelProto:
    graph = CriticGraph(critic, bank).eval()
    with torch.no_grad():
        outputs = encoder_graph(torch.from_numpy(images.pixels[:64]))
    layers = dict(zip(encoder_graph.OUTPUTS, outputs, strict=True))
    examples = (layers["features"], layers["code"])
    model = convert(graph, tuple(e[:2] for e in examples), ("features", "code"), graph.OUTPUTS)
    check_equal(model, graph, examples)
    return model


def _session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
