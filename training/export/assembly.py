"""An encoder graph to a model folder: a fitted critic, measured calibration and quality, one card."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from contract.artefact import Artefact
from contract.card import Calibration
from contract.precision import Precision
from training.data import ImageSet
from training.data.leakage import check_apart
from training.data.pixel_rows import PixelArray
from training.errors import ExportError
from training.evaluation.frozen import FrozenEncoder, exported
from training.evaluation.quality import measure_quality, shared_labels
from training.export import calibration, int8_encoder, score_scaling
from training.export.critic_fitting import fit
from training.export.graphs import CriticGraph
from training.export.inference_cost import measure_costs
from training.export.int8_encoder import Quantised
from training.export.model_card import CardFigures, Graphs, Origin, Release, build_card
from training.export.model_folder import write_folder
from training.export.multiply_accumulates import multiply_accumulates
from training.export.onnx_files import check_equal, convert, session_of
from training.export.score_scaling import Scaling
from training.model.serving_critic import ServingCritic

# With fewer, a bank of a quarter of the images does not stand for the marginal.
_FEWEST_TRAINING = 64
_FEWEST_HELD_OUT = 16
_EXAMPLES = 64
_CRITIC_EPOCHS = 12
_CRITIC_BATCH = 512
# Few images need many epochs; the held-out bound decides which of them to keep.
_FEWEST_CRITIC_STEPS = 1000
_CRITIC_INPUTS = ("features", "code")


@dataclass(frozen=True)
class VersionImages:
    """Images that a version is made and measured with.

    Attributes:
        training: all but the held-out ones; classifiers are fitted on them.
        fitted, validation: their two parts: what is fitted, and what chooses among fits.
        held_out: that nothing was fitted to or chosen by.
    """

    training: ImageSet
    fitted: ImageSet
    validation: ImageSet
    held_out: ImageSet

    def check(self) -> None:
        """Refuse sets that are too small, or not apart.

        Raises:
            ExportError: naming which.
            DataError: their labels do not fit together.
        """
        check_counts(len(self.fitted), len(self.held_out))
        if self.training.labels is not None and self.held_out.labels is not None:
            shared_labels(self.training, self.held_out)
        check_apart(self.training, self.held_out)


def check_counts(fitted: int, held_out: int) -> None:
    """Refuse too few images.

    Raises:
        ExportError: naming both numbers.
    """
    if fitted < _FEWEST_TRAINING or held_out < _FEWEST_HELD_OUT:
        raise ExportError(
            f"{fitted} training images and {held_out} held-out ones are too few to calibrate with; at least "
            f"{_FEWEST_TRAINING} and {_FEWEST_HELD_OUT} are needed."
        )


def assemble(
    encoder_model: onnx.ModelProto,
    origin: Origin,
    release: Release,
    sets: VersionImages,
    models: Path,
    *,
    largest_int8_loss: float | None = None,
) -> Artefact:
    """Fit the critic of an encoder graph, measure both, and write the model folder.

    Args:
        encoder_model: uint8 [N, H, W, 3] to at least embedding, code and features.
        origin: where it comes from, for the card.
        release: names and statements for the card.
        sets: images, checked.
        models: the folder that holds `<name>/<version>`.
        largest_int8_loss: that an encoder in 8 bits may lose, in percentage points; None for no such encoder.

    Raises:
        ExportError: the critic's graph differs from PyTorch, 8 bits lose more, or the version exists.
    """
    seed = origin.training.seed
    quantised = None
    if largest_int8_loss is not None:
        # First of all: a loss that is too large ends the export.
        for_int8 = int8_encoder.Int8ImageSets(sets.fitted, sets.training, sets.held_out, release.held_out)
        quantised = int8_encoder.make(encoder_model, for_int8, seed, largest_int8_loss)
    encoder_session = session_of(encoder_model)
    encoder = exported(encoder_session)
    # The critic is fitted on what the exported graph computes: on what it will meet when it serves.
    seen = encoder.encode(sets.fitted.pixels, _CRITIC_INPUTS)
    bank = calibration.bank_size(len(sets.fitted))
    own_rows, other_rows = calibration.bank_rows(len(sets.fitted), bank, seed)
    bank_codes = torch.from_numpy(seen["code"][own_rows])
    critic, scaling = _fit_critic(
        seen, encoder.encode(sets.validation.pixels, _CRITIC_INPUTS), bank_codes, seed
    )
    examples = sets.held_out.sample(_EXAMPLES, seed).pixels
    critic_model = _critic_model(encoder, critic, bank_codes, scaling, examples)
    macs = multiply_accumulates(encoder_model, sets.held_out.pixels[:1])
    graphs = Graphs(encoder_model, critic_model, encoder_session, session_of(critic_model), macs)
    maps = calibration.measure(
        encoder,
        graphs.critic_session,
        sets.held_out.pixels,
        seen["code"][other_rows],
        bank_size=bank,
        scaling=scaling,
        split=release.held_out,
        seed=seed,
    )
    del seen
    measured = _measured(encoder, graphs, maps, sets, quantised, sets.fitted.take(other_rows), seed)
    card = build_card(origin, release, graphs, measured, sets.held_out.pixels[0])
    return write_folder(card, encoder_model, critic_model, models, quantised.model if quantised else None)


def _measured(
    encoder: FrozenEncoder,
    graphs: Graphs,
    maps: Calibration,
    sets: VersionImages,
    quantised: Quantised | None,
    bank_images: ImageSet,
    seed: int,
) -> CardFigures:
    """Measure all figures of the card; `bank_images` gave the independent bank of `maps`."""
    quality = measure_quality(encoder, sets.training, sets.held_out, split=maps.split, seed=seed)
    pixels = sets.held_out.pixels
    encoders: dict[Precision, onnx.ModelProto] = {"fp32": graphs.encoder}
    if quantised is None:
        return CardFigures(maps, quality, measure_costs(encoders, pixels)["fp32"])
    costs = measure_costs(encoders | {"int8": quantised.model}, pixels)
    int8 = int8_encoder.describe(
        quantised,
        graphs.critic_session,
        pixels,
        bank_images.pixels,
        costs["int8"],
        bank_size=maps.bank,
        scaling=Scaling.of(maps),
        split=maps.split,
        seed=seed,
    )
    return CardFigures(maps, quality, costs["fp32"], int8)


def _fit_critic(
    seen: dict[str, NDArray[np.float32]], held: dict[str, NDArray[np.float32]], bank: torch.Tensor, seed: int
) -> tuple[ServingCritic, Scaling]:
    """Fit the serving critic, with enough steps also for few images, and its scaling."""
    features, code = torch.from_numpy(seen["features"]), torch.from_numpy(seen["code"])
    held_out = torch.from_numpy(held["features"]), torch.from_numpy(held["code"])
    batch = min(_CRITIC_BATCH, len(code) // 4)
    critic, _ = fit(
        features,
        code,
        held_out,
        seed=seed,
        epochs=max(_CRITIC_EPOCHS, -(-_FEWEST_CRITIC_STEPS // (len(code) // batch))),
        batch_size=batch,
    )
    return critic, score_scaling.fit(critic, *held_out, bank, seed=seed)


def _critic_model(
    encoder: FrozenEncoder, critic: ServingCritic, bank: torch.Tensor, scaling: Scaling, pixels: PixelArray
) -> onnx.ModelProto:
    graph = CriticGraph(critic, bank, scaling).eval()
    layers = encoder.encode(pixels, _CRITIC_INPUTS)
    examples = tuple(torch.from_numpy(layers[name]) for name in _CRITIC_INPUTS)
    model = convert(graph, tuple(e[:2] for e in examples), _CRITIC_INPUTS, graph.OUTPUTS)
    check_equal(model, graph, examples)
    return model
