"""The card of a model that is about to be written."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from contract.card import (
    CRITIC_FILE,
    ENCODER_FILE,
    NAME_PATTERN,
    Calibration,
    Int8Encoder,
    ModelCard,
    Quality,
    Shapes,
    Training,
)
from contract.patches import PatchGrid
from contract.precision import InferenceCost
from contract.preprocessing import Preprocessing
from training.errors import ExportError
from training.export.golden import golden
from training.export.onnx_files import digest, opset_of

# Recipe that cards of encoders name which were not trained here.
ADOPTED = "adopted"


@dataclass(frozen=True)
class Release:
    """Names and statements that a release adds to its card.

    Attributes:
        name, version: the model's id; the folder is `<models>/<name>/<version>`.
        licence: of the weights.
        summary: one or two sentences for the card.
        limits: what the model is not good for, a sentence each.
        data: which images trained it, for the card.
        held_out: name of the split that every figure is measured on.

    Raises:
        ExportError: a card, a folder and a setting cannot all hold the name.
    """

    name: str
    version: int
    licence: str
    summary: str
    limits: tuple[str, ...]
    data: str
    held_out: str

    def __post_init__(self) -> None:
        check_name(self.name)


def check_name(name: str) -> None:
    """Refuse a name that a card, a folder and a setting cannot all hold.

    Raises:
        ExportError: saying what is allowed.
    """
    if re.fullmatch(NAME_PATTERN, name) is None:
        raise ExportError(
            f"The model's name is {name!r}. Use at most 64 lower case letters, digits, '.', '_' and "
            "'-', a letter or digit first."
        )


@dataclass(frozen=True)
class Graphs:
    """Both graphs with sessions over them; the card is written into the models later."""

    encoder: onnx.ModelProto
    critic: onnx.ModelProto
    encoder_session: onnxruntime.InferenceSession
    critic_session: onnxruntime.InferenceSession
    macs: int


@dataclass(frozen=True)
class CardFigures:
    """Measured figures of a model.

    Attributes:
        calibration, quality: on the release's held-out images.
        inference: what the fp32 encoder costs to run.
        int8: the same encoder in 8 bits, where there is one.
    """

    calibration: Calibration
    quality: Quality
    inference: InferenceCost
    int8: Int8Encoder | None = None


@dataclass(frozen=True)
class Origin:
    """Where an encoder comes from, for the card.

    Attributes:
        encoder: name of its architecture.
        embedding_layer: layer that the embedding is made of.
        preprocessing: rule by which images become its input.
        patch_grid: where the patches of its features lie.
        training: what it was trained on, or fitted to.
    """

    encoder: str
    embedding_layer: str
    preprocessing: Preprocessing
    patch_grid: PatchGrid
    training: Training


def build_card(
    origin: Origin, release: Release, graphs: Graphs, measured: CardFigures, picture: NDArray[np.uint8]
) -> ModelCard:
    """Put everything known about a model into its card.

    Args:
        origin: of the encoder.
        release: names and statements.
        graphs: what will be served.
        measured: its figures.
        picture: one held-out image, uint8 [H, W, 3], for the self-test.
    """
    preprocessing = origin.preprocessing
    features = _shape(graphs.encoder_session, "features")
    return ModelCard(
        schema_version=2 if preprocessing.decoder == "pillow-1" else 3,
        name=release.name,
        version=release.version,
        created=datetime.now(UTC).replace(microsecond=0),
        licence=release.licence,
        summary=release.summary,
        limits=release.limits,
        opset=opset_of(graphs.encoder),
        weights=(digest(graphs.encoder, ENCODER_FILE), digest(graphs.critic, CRITIC_FILE)),
        preprocessing=preprocessing,
        preprocessing_sha256=preprocessing.sha256,
        patch_grid=origin.patch_grid,
        shapes=Shapes(
            embedding=_shape(graphs.encoder_session, "embedding")[0],
            code=_shape(graphs.encoder_session, "code")[0],
            channels=features[0],
            critic_units=_shape(graphs.critic_session, "global")[0],
        ),
        encoder=origin.encoder,
        embedding_layer=origin.embedding_layer,
        encoder_macs=graphs.macs,
        calibration=measured.calibration,
        training=origin.training,
        quality=measured.quality,
        golden=golden(graphs.encoder_session, graphs.critic_session, picture),
        inference=measured.inference,
        int8=measured.int8,
    )


def _shape(session: onnxruntime.InferenceSession, output: str) -> list[int]:
    """Return the sizes of an output behind its free first axis."""
    (shape,) = (value.shape for value in session.get_outputs() if value.name == output)
    return list(shape[1:])
