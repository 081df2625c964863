"""The model card: everything a reader and the service need to know about one exported model.

The same JSON lies beside the graphs as `card.json` and inside them as `metadata_props["infomax.card"]`. Only
measures of the maps, which can be taken of a finished model, stand in `card.json` alone.

Cards of schema 1 have neither costs nor a second precision. Those of schema 1 and 2 know one decoder of
images, "pillow-1". They are read and written as they are, to the byte, since their graphs carry them.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from pydantic import AwareDatetime, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from contract.card_part import CardPart
from contract.map_kinds import MapKind
from contract.map_measures import Attribution, KindMeasure, Reliability, measure_of
from contract.neighbour_measure import NeighbourMeasure
from contract.patches import PatchGrid
from contract.precision import InferenceCost, Precision, PrecisionLoss
from contract.preprocessing import Preprocessing

METADATA_KEY = "infomax.card"
ENCODER_FILE = "encoder.onnx"
INT8_ENCODER_FILE = "encoder.int8.onnx"
ENCODER_FILES: Mapping[Precision, str] = {"fp32": ENCODER_FILE, "int8": INT8_ENCODER_FILE}
CRITIC_FILE = "critic.onnx"
CARD_FILE = "card.json"
NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}$"
_SINCE_SCHEMA_2 = ("inference", "int8")
_UNMEASURED: Mapping[str, None] = {"attribution": None, "reliability": None}


def _is_missing(value: object) -> bool:
    return value is None


class Shapes(CardPart):
    """Sizes of the graphs' outputs: embedding [N, embedding], code [N, code], features [N, channels, M, M]
    and the critic's projections [N, critic_units, M, M] and [N, critic_units]."""

    embedding: int = Field(ge=1)
    code: int = Field(ge=1)
    channels: int = Field(ge=1)
    critic_units: int = Field(ge=1)


class WeightsDigest(CardPart):
    """sha256 over the weights of one ONNX file, as `contract.artefact.weights_sha256` computes it."""

    file: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Calibration(CardPart):
    """How the critic's scores became pointwise mutual information in nats, and what that measured.

    All figures are over held-out images that neither the encoder nor the critic saw.

    Attributes:
        joint: which joint distribution the nats refer to, in words.
        estimator: the bound by which the serving critic was fitted.
        bank: number of training images whose codes stand for the product of the marginals.
        mi_nats: mean over images and patches of the MI map: the model's MI estimate.
        mi_standard_error: standard error of that mean over images, in nats.
        bank_error_nats: absolute change of `mi_nats` when the bank is replaced by an independent one.
        lower_bound_nats: the InfoNCE bound with the same bank (van den Oord et al. 2018), at most
            log(bank + 1).
        shuffled_nats: mean of the maps when every image is given another image's code.
        joint_auc: probability that a patch scores higher with its own image's code than with another's.
        flip_error_nats: mean absolute difference between the map of the mirrored image and the mirrored map.
        images: number of held-out images measured.
        split: name of the held-out split.
        temperature, offset_nats: what the critic's scores were divided by, and what was then taken off all
            maps, as images chose that it was not fitted to; missing where nothing was chosen.
    """

    joint: str
    estimator: str
    bank: int = Field(ge=1)
    mi_nats: float
    mi_standard_error: float = Field(ge=0)
    bank_error_nats: float = Field(ge=0)
    lower_bound_nats: float
    shuffled_nats: float
    joint_auc: float = Field(ge=0, le=1)
    flip_error_nats: float = Field(ge=0)
    images: int = Field(ge=2)
    split: str
    temperature: float | None = Field(default=None, gt=0, allow_inf_nan=False, exclude_if=_is_missing)
    offset_nats: float | None = Field(default=None, allow_inf_nan=False, exclude_if=_is_missing)

    @property
    def ceiling_nats(self) -> float:
        """Claim above which the bank cannot tell how much larger a value is: log K, less the offset."""
        return math.log(self.bank) - (self.offset_nats or 0.0)


class Training(CardPart):
    """Where the weights come from."""

    data: str
    images: int = Field(ge=1)
    recipe: str
    recipe_toml: str
    estimator: str
    critic: str
    seed: int
    epochs: int = Field(ge=0)
    seconds: float = Field(ge=0)
    hardware: str
    torch: str


class ProbeScore(CardPart):
    """Accuracy of one classifier on one frozen layer.

    `knn` is the majority of the k nearest; in `weighted_knn` each votes with weight exp(cosine / 0.07).
    """

    layer: str
    dimensions: int = Field(ge=1)
    probe: Literal["linear", "knn", "weighted_knn", "svm", "nonlinear"]
    k: int | None = None
    accuracy: float = Field(ge=0, le=1)


class Quality(CardPart):
    """Measured usefulness of the frozen encoder; empty scores mean that the data had no labels."""

    split: str
    images: int = Field(ge=0)
    majority: float | None = Field(default=None, ge=0, le=1)
    scores: tuple[ProbeScore, ...] = ()


class Golden(CardPart):
    """One input with the outputs it must give, for the self-test at start.

    Attributes:
        image_base64: an encoded PNG of the model's input size, so that decoding is tested too.
        embedding, code, mi_map: expected outputs; `mi_map` is M x M, in nats.
        tolerance: largest allowed absolute difference on any supported provider.
    """

    image_base64: str
    embedding: tuple[float, ...]
    code: tuple[float, ...]
    mi_map: tuple[tuple[float, ...], ...]
    tolerance: float = Field(gt=0)

    @property
    def expected(self) -> Iterator[tuple[str, Sequence[object], float]]:
        """Each output with its name and tolerance."""
        yield "embedding", self.embedding, self.tolerance
        yield "code", self.code, self.tolerance
        yield "mi_map", self.mi_map, self.tolerance


class Int8Golden(CardPart):
    """What the golden input gives by the int8 encoder.

    Its rounding steps are another size in each output, so each has a tolerance of its own.
    """

    embedding: tuple[float, ...]
    code: tuple[float, ...]
    mi_map: tuple[tuple[float, ...], ...]
    embedding_tolerance: float = Field(gt=0)
    code_tolerance: float = Field(gt=0)
    mi_map_tolerance: float = Field(gt=0)

    @property
    def expected(self) -> Iterator[tuple[str, Sequence[object], float]]:
        """Each output with its name and tolerance."""
        yield "embedding", self.embedding, self.embedding_tolerance
        yield "code", self.code, self.code_tolerance
        yield "mi_map", self.mi_map, self.mi_map_tolerance


class Int8Encoder(CardPart):
    """The encoder once more, in whole numbers of 8 bits: `encoder.int8.onnx`.

    Attributes:
        weights: digest of its file.
        scheme: which numbers are held in 8 bits, and how, in words.
        calibration_images: number of training images that the ranges of the activations were taken from.
        loss: what it loses against the fp32 encoder.
        maps: what its features and codes make of the MI maps, with the same critic and on the same images
            as `ModelCard.calibration`.
        inference: what it costs to run, measured in turn with the fp32 encoder.
        golden: its own outputs for the golden image, with tolerances of their own.
        attribution, reliability: as those of the card, of maps by this encoder.
    """

    weights: WeightsDigest
    scheme: str
    calibration_images: int = Field(ge=1)
    loss: PrecisionLoss
    maps: Calibration
    inference: InferenceCost
    golden: Int8Golden
    attribution: Attribution | None = Field(default=None, exclude_if=_is_missing)
    reliability: Reliability | None = Field(default=None, exclude_if=_is_missing)


class ModelCard(CardPart):
    """The contract between training and serving for one model version.

    Attributes:
        schema_version: the lowest one that has all that the card states.
        preprocessing: of any decoder since schema 3, of "pillow-1" before.
        inference: what `encoder.onnx` costs to run; in every card since schema 2.
        int8: the encoder in 8 bits, where the folder holds one; in no card of schema 1.
        attribution, reliability: of the maps by `encoder.onnx`, where `infomax validate-maps --write` has
            stated them; in cards of any schema, and not in the graphs' copy.
        neighbours: how often neighbours by `encoder.onnx` are right, where `infomax validate-neighbours
            --write` has stated it; likewise.
    """

    schema_version: Literal[1, 2, 3]
    name: str = Field(pattern=NAME_PATTERN)
    version: int = Field(ge=1)
    created: AwareDatetime
    licence: str
    summary: str
    limits: tuple[str, ...]
    opset: int
    weights: tuple[WeightsDigest, WeightsDigest]
    preprocessing: Preprocessing
    preprocessing_sha256: str
    patch_grid: PatchGrid
    shapes: Shapes
    encoder: str
    embedding_layer: str
    encoder_macs: int = Field(ge=0, description="multiply-accumulates of encoder.onnx for one image")
    calibration: Calibration
    training: Training
    quality: Quality
    golden: Golden
    inference: InferenceCost | None = None
    int8: Int8Encoder | None = None
    attribution: Attribution | None = Field(default=None, exclude_if=_is_missing)
    reliability: Reliability | None = Field(default=None, exclude_if=_is_missing)
    neighbours: NeighbourMeasure | None = Field(default=None, exclude_if=_is_missing)

    @model_validator(mode="after")
    def _of_its_schema(self) -> "ModelCard":
        if self.schema_version == 1 and (self.inference, self.int8) != (None, None):
            raise ValueError(f"a card of schema 1 has no {' and no '.join(_SINCE_SCHEMA_2)}")
        if self.schema_version > 1 and self.inference is None:
            raise ValueError(f"a card of schema {self.schema_version} states its inference cost")
        if self.schema_version < 3 and self.preprocessing.decoder != "pillow-1":
            raise ValueError(
                f"a card of schema {self.schema_version} is decoded by pillow-1, not by "
                f"{self.preprocessing.decoder}"
            )
        return self

    @model_validator(mode="after")
    def _consistent(self) -> "ModelCard":
        if self.preprocessing_sha256 != self.preprocessing.sha256:
            raise ValueError("preprocessing_sha256 is not the hash of the preprocessing record")
        if {digest.file for digest in self.weights} != {ENCODER_FILE, CRITIC_FILE}:
            raise ValueError(f"weights must name exactly {ENCODER_FILE} and {CRITIC_FILE}")
        if self.int8 is not None and self.int8.weights.file != INT8_ENCODER_FILE:
            raise ValueError(f"the weights of int8 must name {INT8_ENCODER_FILE}")
        self._check_sizes(self.golden)
        if self.int8 is not None:
            self._check_sizes(self.int8.golden)
        return self

    def _check_sizes(self, golden: Golden | Int8Golden) -> None:
        if len(golden.embedding) != self.shapes.embedding or len(golden.code) != self.shapes.code:
            raise ValueError("the golden outputs do not have the sizes stated in shapes")
        grid = (len(golden.mi_map), {len(row) for row in golden.mi_map})
        if grid != (self.patch_grid.rows, {self.patch_grid.columns}):
            raise ValueError("the golden mi_map does not have the size of the patch grid")

    @model_serializer(mode="wrap")
    def _without_what_its_schema_lacks(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = write(self)
        if self.schema_version == 1:
            for name in _SINCE_SCHEMA_2:
                del fields[name]
        return fields

    @property
    def id(self) -> str:
        """`name/version`, the key under which indexed items are bound to the model."""
        return f"{self.name}/{self.version}"

    @property
    def digests(self) -> tuple[WeightsDigest, ...]:
        """Of every graph in the folder."""
        return self.weights if self.int8 is None else (*self.weights, self.int8.weights)

    def encoder_sha256(self, precision: Precision) -> str:
        """Digest of the weights of one of the encoders.

        Raises:
            LookupError: there is none of that precision.
        """
        if precision == "int8":
            return self._int8().weights.sha256
        (digest,) = (digest.sha256 for digest in self.weights if digest.file == ENCODER_FILE)
        return digest

    def golden_of(self, precision: Precision) -> Golden | Int8Golden:
        """What the golden image gives by one of the encoders, and the critic.

        Raises:
            LookupError: there is none of that precision.
        """
        return self._int8().golden if precision == "int8" else self.golden

    def measure_of(self, kind: MapKind, precision: Precision) -> KindMeasure | None:
        """What the card states of one kind of maps: by the encoder of a precision, or else by fp32."""
        int8 = self.int8 if precision == "int8" else None
        if int8 is not None and int8.attribution is not None:
            return measure_of(kind, "int8", int8.attribution, int8.reliability)
        if self.attribution is not None:
            return measure_of(kind, "fp32", self.attribution, self.reliability)
        return None

    @property
    def as_exported(self) -> "ModelCard":
        """The card without measures that were taken of the finished model: what the graphs carry."""
        int8 = None if self.int8 is None else self.int8.model_copy(update=_UNMEASURED)
        return self.model_copy(update={**_UNMEASURED, "neighbours": None, "int8": int8})

    def measured(
        self, precision: Precision, attribution: Attribution, reliability: Reliability | None
    ) -> "ModelCard":
        """Return the card with measures of the maps by one of the encoders, in place of earlier ones.

        Raises:
            LookupError: there is none of that precision.
        """
        found = {"attribution": attribution, "reliability": reliability}
        if precision == "fp32":
            return self.model_copy(update=found)
        return self.model_copy(update={"int8": self._int8().model_copy(update=found)})

    def _int8(self) -> Int8Encoder:
        if self.int8 is None:
            raise LookupError(f"{self.id} has no int8 encoder")
        return self.int8

    def to_json(self) -> str:
        """The exact text of `card.json`; of the graphs' metadata where the card is as exported."""
        return self.model_dump_json(indent=2) + "\n"
