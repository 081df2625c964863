"""A model folder whose maps are validated: its graphs, run on pixels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from contract.artefact import Artefact
from contract.card import ModelCard
from contract.occlusion import GREY, Occlusion, covered
from contract.precision import Precision
from contract.trunk import CODE, FEATURES, trunk_of
from training.errors import DataError
from training.evaluation.encoding import images_at_once
from training.evaluation.maps.cells import Cells

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]
# Sets of features or codes at once.
_BATCH = 128


@dataclass(frozen=True)
class Subject:
    """A model, as its exported graphs compute it.

    Attributes:
        card: of the model.
        precision: of the encoder.
        encoder, critic: sessions over its graphs.
        trunk: session over the part of the encoder behind its features, in float32 as the service has it;
            None where there is none.
        mean_code: float32 [Y], of the images that codes are centred by.
    """

    card: ModelCard
    precision: Precision
    encoder: onnxruntime.InferenceSession
    critic: onnxruntime.InferenceSession
    trunk: onnxruntime.InferenceSession | None
    mean_code: Floats

    @cached_property
    def occlusion(self) -> Occlusion:
        """The plan of the service's contribution maps."""
        return Occlusion(*self.grid)

    @cached_property
    def cells(self) -> Cells:
        """Cells of the input, by which other maps are made and all are judged."""
        return Cells(self.card)

    @cached_property
    def grey(self) -> Floats:
        """Code of a grey image, [Y], behind its features as the service computes it."""
        rule = self.card.preprocessing
        features, _ = self.features_and_codes(np.full((1, rule.height, rule.width, 3), GREY, np.uint8))
        grey: Floats = self.trunk_codes(features)[0]
        return grey

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the maps."""
        return self.card.patch_grid.rows, self.card.patch_grid.columns

    def codes(self, pixels: Pixels) -> Floats:
        """Encode uint8 [N, H, W, 3] to codes [N, Y]."""
        return encode(self.encoder, pixels, ("code",))[0]

    def features_and_codes(self, pixels: Pixels) -> tuple[Floats, Floats]:
        """Encode uint8 [N, H, W, 3] to features [N, C, M, M] and codes [N, Y]."""
        features, codes = encode(self.encoder, pixels, ("features", "code"))
        return features, codes

    def information(self, features: Floats, codes: Floats) -> Floats:
        """Map the pointwise MI of patches and codes in nats, [N, M, M]."""
        (maps,) = _batches(self.critic, {"features": features, "code": codes}, ("mi_map",))
        return maps

    def projections(self, features: Floats, codes: Floats) -> tuple[Floats, Floats, Floats]:
        """Project patches [N, U, M, M] and codes [N, U], with the normaliser of each patch [N, M, M]."""
        names = ("local", "global", "local_log_normaliser")
        local, global_, normaliser = _batches(self.critic, {"features": features, "code": codes}, names)
        return local, global_, normaliser

    def contribution(self, features: Floats) -> Floats:
        """Map what patches contribute to the code of one image, by its features [C, M, M], as is served.

        Raises:
            DataError: the model's code does not follow from its features.
        """
        return self.occlusion.contribution(
            self.trunk_codes(covered(features, self.occlusion.keep)), self.grey
        )

    def trunk_codes(self, features: Floats) -> Floats:
        """Compute codes [N, Y] of features [N, C, M, M]."""
        if self.trunk is None:
            raise DataError(
                f"The code of {self.card.id} does not follow from its features alone, so that it has no "
                "contribution maps. Validate another model."
            )
        (codes,) = _batches(self.trunk, {FEATURES: features}, (CODE,))
        return codes

    def similarity(self, codes: Floats, others: Floats) -> NDArray[np.float64]:
        """Compute the cosine of codes [..., Y], less the mean code of images."""
        one, other = codes - self.mean_code, others - self.mean_code
        lengths = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
        cosine: NDArray[np.float64] = (one * other).sum(axis=-1, dtype=np.float64) / np.maximum(
            lengths, 1e-12
        )
        return cosine


def open_subject(artefact: Artefact, pixels: Pixels, precision: Precision = "fp32") -> Subject:
    """Open a model; codes are centred by the mean over `pixels`, uint8 [N, H, W, 3].

    Raises:
        DataError: the model has no encoder of that precision.
    """
    if precision == "int8" and artefact.card.int8 is None:
        raise DataError(f"{artefact.card.id} has no int8 encoder. Measure its maps with --precision fp32.")
    encoder, critic = (
        onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        for graph in (artefact.encoder_of(precision), artefact.critic)
    )
    graph = trunk_of(onnx.load(artefact.encoder))
    trunk = (
        None
        if graph is None
        else onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    )
    mean = encode(encoder, pixels, ("code",))[0].mean(axis=0)
    return Subject(artefact.card, precision, encoder, critic, trunk, mean)


def encode(session: onnxruntime.InferenceSession, pixels: Pixels, names: Sequence[str]) -> list[Floats]:
    """Compute named outputs, each float32 [N, ...], of an encoder for uint8 [N, H, W, 3]."""
    return _batches(session, {"image": pixels}, names, min(_BATCH, images_at_once(*pixels.shape[1:3])))


def _batches(
    session: onnxruntime.InferenceSession,
    feeds: Mapping[str, Floats | Pixels],
    names: Sequence[str],
    size: int = _BATCH,
) -> list[Floats]:
    count = len(next(iter(feeds.values())))
    parts = [
        session.run(list(names), {name: values[start : start + size] for name, values in feeds.items()})
        for start in range(0, count, size)
    ]
    return [np.concatenate(part) for part in zip(*parts, strict=True)]
