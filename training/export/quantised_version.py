"""The next version of a model: the same graphs, and the encoder in 8 bits beside them."""

from datetime import UTC, datetime
from pathlib import Path

import onnx

from contract.artefact import Artefact
from contract.card import ModelCard
from training import recipe_file
from training.data import ImageSet, set_aside
from training.data.leakage import check_apart
from training.errors import ExportError
from training.export import calibration, int8_encoder
from training.export.inference_cost import measure_costs
from training.export.model_folder import folder_of, write_folder
from training.export.onnx_files import session_of
from training.export.score_scaling import Scaling


def quantised_version(
    artefact: Artefact,
    version: int,
    training: ImageSet,
    held_out: ImageSet,
    models: Path,
    *,
    split: str,
    largest_loss: float,
) -> Artefact:
    """Write `<models>/<name>/<version>` with what a model folder holds and an int8 encoder.

    Args:
        artefact: the model folder, which stays as it is.
        version: of the new one.
        training: the images of the model's run, whole.
        held_out: images that nothing was fitted to.
        models: the folder that holds `<name>/<version>`.
        split: name of the held-out images for the card.
        largest_loss: that 8 bits may cost, in percentage points of accuracy.

    Raises:
        ExportError: the version exists, 8 bits lose more, or images are not what they are said to be.
        DataError: the labels of the two sets do not fit together.
    """
    old = artefact.card
    folder_of(models, old.name, version)
    parted = recipe_file.split_of(old.training.recipe_toml)
    training = set_aside.seen(training, parted)
    if len(training) != old.training.images:
        raise ExportError(
            f"{old.id} was trained on {old.training.images} images and these are {len(training)}; "
            "name the same images that it was trained on."
        )
    check_apart(training, held_out)
    fitted, _ = training.split(parted.validation_share, parted.seed)
    encoder, critic = onnx.load(artefact.encoder), onnx.load(artefact.critic)
    quantised = int8_encoder.make(
        encoder, int8_encoder.Int8ImageSets(fitted, training, held_out, split), parted.seed, largest_loss
    )
    costs = measure_costs({"fp32": encoder, "int8": quantised.model}, held_out.pixels)
    _, rows = calibration.bank_rows(len(fitted), old.calibration.bank, parted.seed)
    int8 = int8_encoder.describe(
        quantised,
        session_of(critic),
        held_out.pixels,
        fitted.take(rows).pixels,
        costs["int8"],
        bank_size=old.calibration.bank,
        scaling=Scaling.of(old.calibration),
        split=split,
        seed=parted.seed,
    )
    card = ModelCard.model_validate(
        old.model_dump()
        | {
            "schema_version": max(2, old.schema_version),
            "version": version,
            "created": datetime.now(UTC).replace(microsecond=0),
            "inference": costs["fp32"],
            "int8": int8,
        }
    )
    return write_folder(card, encoder, critic, models, quantised.model)
