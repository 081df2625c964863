"""A trunk and a user's images to a model folder."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from contract.artefact import Artefact
from contract.card import Training
from contract.preprocessing import Preprocessing
from training import recipe_file
from training.data import ImageSet
from training.data.image_set import sample_rows
from training.errors import ExportError
from training.evaluation.effective_rank import effective_rank
from training.export.adoption.embedding_nodes import fit_axes, with_embedding
from training.export.adoption.trunk import VECTOR, Trunk, check_sound
from training.export.assembly import VersionImages, assemble
from training.export.model_card import ADOPTED, Origin, Release
from training.export.model_folder import folder_of
from training.system.hardware import hardware

# Vectors on a line have a rank of 1; a useful encoder's are of tens and hundreds.
LEAST_RANK = 2.0
VALIDATION_SHARE = 0.1
_EXAMPLES = 16
_MOST_FITTED = 50_000
_RANKED = 4_000
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Adoption:
    """How a trunk is adopted.

    Attributes:
        rule: by which images become its input.
        units: length of code and embedding, at most that of the vector.
        seed: of every draw.
    """

    rule: Preprocessing
    units: int
    seed: int = 0


def adopt(
    trunk: Trunk,
    adoption: Adoption,
    release: Release,
    training: ImageSet,
    held_out: ImageSet,
    models: Path,
    *,
    largest_int8_loss: float | None = None,
) -> Artefact:
    """Fit embedding and critic of a trunk to images, measure it on others, and write the model folder.

    Args:
        trunk: the encoder, which stays as it is.
        adoption: how.
        release: names and statements for the card.
        training: images that embedding and critic are fitted to; labels only measure.
        held_out: images that nothing is fitted to.
        models: the folder that holds `<name>/<version>`.
        largest_int8_loss: as for `assemble`.

    Raises:
        InfomaxError: the trunk cannot be used, the images are too few or not apart, or the version
            exists.
    """
    folder_of(models, release.name, release.version)
    sets = VersionImages(training, *training.split(VALIDATION_SHARE, adoption.seed), held_out)
    sets.check()
    examples = held_out.sample(_EXAMPLES, adoption.seed).pixels
    check_sound(trunk.model, examples)
    vectors = trunk.frozen.encode(sets.fitted.sample(_MOST_FITTED, adoption.seed).pixels, (VECTOR,))[VECTOR]
    _check_spread(vectors)
    model = with_embedding(trunk.model, fit_axes(vectors, adoption.units))
    del vectors
    origin = Origin(
        encoder=trunk.encoder,
        embedding_layer=VECTOR,
        preprocessing=adoption.rule,
        patch_grid=trunk.patch_grid,
        training=Training(
            data=release.data,
            images=len(training),
            recipe=ADOPTED,
            recipe_toml=recipe_file.toml_of(_record(trunk, adoption)),
            estimator="infonce",
            critic="encode_and_dot",
            seed=adoption.seed,
            epochs=0,
            seconds=0.0,
            hardware=hardware(),
            torch=str(torch.__version__),
        ),
    )
    return assemble(model, origin, release, sets, models, largest_int8_loss=largest_int8_loss)


def _check_spread(vectors: NDArray[np.float32]) -> None:
    """Refuse an encoder to which all images are the same.

    Raises:
        ExportError: the effective rank of vectors [N, D] is near 1.
    """
    if not np.isfinite(vectors).all():
        raise ExportError("The encoder's vectors of some images are not finite. Check its weights.")
    rank = effective_rank(torch.from_numpy(vectors[sample_rows(len(vectors), _RANKED, 0)]))
    if rank < LEAST_RANK:
        raise ExportError(
            f"The encoder's vectors of {len(vectors)} images have an effective rank of {rank:.2f}: they lie "
            "on a line, and tell no images apart. Check its weights, --mean and --std, or take another layer."
        )
    _log.info("effective rank %.1f of %d", rank, vectors.shape[1])


def _record(trunk: Trunk, adoption: Adoption) -> dict[str, Any]:
    """Write down how the model was made; what is fitted is a function of this and the images."""
    rule = adoption.rule
    return {
        "name": ADOPTED,
        "seed": adoption.seed,
        "validation_share": VALIDATION_SHARE,
        "input_size": rule.width,
        "resize_rule": rule.resize_rule,
        "color_profile": rule.color_profile,
        "units": adoption.units,
        "encoder": trunk.record,
    }
