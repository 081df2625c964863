"""A finished run to a model folder."""

from pathlib import Path

import onnx
import torch

from contract.artefact import Artefact
from contract.card import Training
from training import recipe_file
from training.data import ImageSet, images
from training.data.pixel_rows import PixelArray
from training.export.assembly import VersionImages, assemble
from training.export.embedding_graph import embedded
from training.export.graphs import EncoderGraph
from training.export.model_card import Origin, Release
from training.export.model_folder import folder_of
from training.export.onnx_files import check_equal, convert
from training.loop.trained import TrainedEncoder

_EXAMPLES = 64


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
        training: the images of the run, whole: the recipe's own parts are taken again.
        held_out: images that nothing was fitted to or chosen by.
        models: the folder that holds `<name>/<version>`.
        largest_int8_loss: write the encoder in 8 bits too, if that loses no more percentage points of
            accuracy; None for no such encoder.

    Raises:
        ExportError: a graph differs from PyTorch's numbers, or the version exists. There are too few images,
            held-out ones were trained on, or 8 bits lose more than is allowed.
        TrainingError: the run was made of other images.
        DataError: the labels of the two sets do not fit together.
    """
    folder_of(models, release.name, release.version)
    sets = VersionImages(trained.seen(training), *trained.split(training), held_out)
    sets.check()
    graph = embedded(trained.encoder, trained.recipe.embedding_layer, sets.fitted, trained.recipe.seed)
    model = _encoder_model(graph, held_out.sample(_EXAMPLES, trained.recipe.seed).pixels)
    origin = _origin(trained, release, len(sets.training))
    return assemble(model, origin, release, sets, models, largest_int8_loss=largest_int8_loss)


def _encoder_model(graph: EncoderGraph, pixels: PixelArray) -> onnx.ModelProto:
    """Export to an ONNX graph that computes the same."""
    examples = (torch.from_numpy(pixels[:]),)
    model = convert(graph, (examples[0][:2],), ("image",), graph.OUTPUTS)
    check_equal(model, graph, examples)
    return model


def _origin(trained: TrainedEncoder, release: Release, training_images: int) -> Origin:
    recipe = trained.recipe
    return Origin(
        encoder=recipe.encoder.name,
        embedding_layer=recipe.embedding_layer,
        preprocessing=images.rule(recipe),
        patch_grid=trained.encoder.patch_grid(),
        training=Training(
            data=release.data,
            images=training_images,
            recipe=recipe.name,
            recipe_toml=recipe_file.to_toml(recipe),
            estimator=recipe.objective.estimator,
            critic=recipe.critic.name,
            seed=recipe.seed,
            epochs=trained.epochs,
            seconds=round(trained.seconds, 1),
            hardware=trained.hardware,
            torch=trained.torch,
        ),
    )
