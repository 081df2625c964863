"""A finished run to a model folder: two proved graphs, measured calibration and quality, one card."""

from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

from contract.artefact import Artefact
from contract.card import Calibration, Quality
from contract.precision import Precision
from training.data import ImageSet
from training.data.leakage import check_apart
from training.errors import ExportError
from training.evaluation.frozen import exported
from training.evaluation.quality import measure_quality, shared_labels
from training.export import calibration, int8_encoder
from training.export.critic_fitting import fit
from training.export.embedding_graph import embedded
from training.export.graphs import CriticGraph, EncoderGraph
from training.export.inference_cost import measure_costs
from training.export.int8_encoder import Quantised
from training.export.model_card import CardFigures, Graphs, Release, build_card
from training.export.model_folder import folder_of, write_folder
from training.export.onnx_files import check_equal, convert, session_of
from training.loop.trained import TrainedEncoder
from training.model.serving_critic import ServingCritic

# With fewer, a bank of a quarter of the images does not stand for the marginal.
_FEWEST_TRAINING = 64
_FEWEST_HELD_OUT = 16
_EXAMPLES = 64
_CRITIC_EPOCHS = 12
_CRITIC_BATCH = 512
# Few images need many epochs; the held-out bound decides which of them to keep.
_FEWEST_CRITIC_STEPS = 1000


def export(
    trained: TrainedEncoder,
    release: Release,
    training: ImageSet,
    held_out: ImageSet,
    models: Path,
    *,
    largest_int8_loss: float | None = None,
) -> Artefact:
    """Fit the serving critic, prove the graphs, measure them on `held_out` and write the model folder.

    Args:
        trained: the encoder and its recipe.
        release: names and statements for the card.
        training: the images the encoder was trained on, whole: the recipe's own split is taken again.
        held_out: images that nothing was fitted to or chosen by.
        models: the folder that holds `<name>/<version>`.
        largest_int8_loss: write the encoder in 8 bits too, if that loses no more percentage points of
            accuracy; None for no such encoder.

    Raises:
        ExportError: a graph differs from PyTorch by more than 1e-4, or the version exists. There are too few
            images, held-out ones were trained on, or 8 bits lose more than is allowed.
        TrainingError: the run was made of other images.
        DataError: the labels of the two sets do not fit together.
    """
    folder_of(models, release.name, release.version)
    fit_images, validation = trained.split(training)
    _check_images(training, fit_images, held_out)
    seed, split = trained.recipe.seed, release.held_out
    graph = embedded(trained.encoder, trained.recipe.embedding_layer, fit_images, seed)
    examples = held_out.sample(_EXAMPLES, seed).pixels
    encoder_model, macs = _encoder_model(graph, examples)
    quantised = None
    if largest_int8_loss is not None:
        # First of all: a loss that is too large ends the export.
        sets = int8_encoder.Int8ImageSets(fit_images, training, held_out, split)
        quantised = int8_encoder.make(encoder_model, sets, seed, largest_int8_loss)
    encoder_session = session_of(encoder_model)
    encoder = exported(encoder_session)
    # The critic is fitted on what the exported graph computes: on what it will meet when it serves.
    seen = encoder.encode(fit_images.pixels, ("features", "code"))
    critic = _fit_critic(seen, encoder.encode(validation.pixels, ("features", "code")), seed)
    bank = calibration.bank_size(len(fit_images))
    own_rows, other_rows = calibration.bank_rows(len(fit_images), bank, seed)
    critic_model = _critic_model(graph, critic, torch.from_numpy(seen["code"][own_rows]), examples)
    graphs = Graphs(encoder_model, critic_model, encoder_session, session_of(critic_model), macs)
    maps = calibration.measure(
        encoder,
        graphs.critic_session,
        held_out.pixels,
        seen["code"][other_rows],
        bank_size=bank,
        split=split,
        seed=seed,
    )
    del seen
    quality = measure_quality(encoder, training, held_out, split=split, seed=seed)
    measured = _measured(graphs, maps, quality, held_out, quantised, fit_images.take(other_rows), seed)
    card = build_card(trained, release, len(training), graphs, measured, held_out.pixels[0])
    return write_folder(card, encoder_model, critic_model, models, quantised.model if quantised else None)


def _measured(
    graphs: Graphs,
    maps: Calibration,
    quality: Quality,
    held_out: ImageSet,
    quantised: Quantised | None,
    bank_images: ImageSet,
    seed: int,
) -> CardFigures:
    """Measure all figures of the card; `bank_images` gave the independent bank of `maps`."""
    encoders: dict[Precision, onnx.ModelProto] = {"fp32": graphs.encoder}
    if quantised is None:
        return CardFigures(maps, quality, measure_costs(encoders, held_out.pixels)["fp32"])
    costs = measure_costs(encoders | {"int8": quantised.model}, held_out.pixels)
    int8 = int8_encoder.describe(
        quantised,
        graphs.critic_session,
        held_out.pixels,
        bank_images.pixels,
        costs["int8"],
        bank_size=maps.bank,
        split=maps.split,
        seed=seed,
    )
    return CardFigures(maps, quality, costs["fp32"], int8)


def _check_images(training: ImageSet, fit_images: ImageSet, held_out: ImageSet) -> None:
    """Refuse sets that are too small, or not apart.

    Raises:
        ExportError: naming which.
        DataError: their labels do not fit together.
    """
    if len(fit_images) < _FEWEST_TRAINING or len(held_out) < _FEWEST_HELD_OUT:
        raise ExportError(
            f"{len(fit_images)} training images and {len(held_out)} held-out ones are too few to calibrate "
            f"with; at least {_FEWEST_TRAINING} and {_FEWEST_HELD_OUT} are needed."
        )
    if training.labels is not None and held_out.labels is not None:
        shared_labels(training, held_out)
    check_apart(training, held_out)


def _fit_critic(
    seen: dict[str, NDArray[np.float32]], held: dict[str, NDArray[np.float32]], seed: int
) -> ServingCritic:
    """Fit the serving critic to features and codes, with enough steps also for few images."""
    features, code = torch.from_numpy(seen["features"]), torch.from_numpy(seen["code"])
    batch = min(_CRITIC_BATCH, len(code) // 4)
    critic, _ = fit(
        features,
        code,
        (torch.from_numpy(held["features"]), torch.from_numpy(held["code"])),
        seed=seed,
        epochs=max(_CRITIC_EPOCHS, -(-_FEWEST_CRITIC_STEPS // (len(code) // batch))),
        batch_size=batch,
    )
    return critic


def _encoder_model(graph: EncoderGraph, pixels: NDArray[np.uint8]) -> tuple[onnx.ModelProto, int]:
    """Export to an ONNX graph that computes the same, and count its multiply-accumulates."""
    examples = (torch.from_numpy(pixels),)
    model = convert(graph, (examples[0][:2],), ("image",), graph.OUTPUTS)
    check_equal(model, graph, examples)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        graph(examples[0][:1])
    return model, counter.get_total_flops() // 2


def _critic_model(
    encoder_graph: EncoderGraph, critic: ServingCritic, bank: torch.Tensor, pixels: NDArray[np.uint8]
) -> onnx.ModelProto:
    graph = CriticGraph(critic, bank).eval()
    with torch.no_grad():
        outputs = encoder_graph(torch.from_numpy(pixels))
    layers = dict(zip(encoder_graph.OUTPUTS, outputs, strict=True))
    examples = (layers["features"], layers["code"])
    model = convert(graph, tuple(e[:2] for e in examples), ("features", "code"), graph.OUTPUTS)
    check_equal(model, graph, examples)
    return model
