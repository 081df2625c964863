"""The model card: everything a reader and the service need to know about one exported model.

The same JSON lies beside the graphs as `card.json` and inside them as `metadata_props["infomax.card"]`.
"""

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from contract.patches import PatchGrid
from contract.preprocessing import Preprocessing

METADATA_KEY = "infomax.card"
ENCODER_FILE = "encoder.onnx"
CRITIC_FILE = "critic.onnx"
CARD_FILE = "card.json"
NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}$"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Shapes(_Record):
    """Sizes of the graphs' outputs: embedding [N, embedding], code [N, code], features [N, channels, M, M]
    and the critic's projections [N, critic_units, M, M] and [N, critic_units]."""

    embedding: int = Field(ge=1)
    code: int = Field(ge=1)
    channels: int = Field(ge=1)
    critic_units: int = Field(ge=1)


class WeightsDigest(_Record):
    """sha256 over the weights of one ONNX file, as `contract.artefact.weights_sha256` computes it."""

    file: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Calibration(_Record):
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


class Training(_Record):
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


class ProbeScore(_Record):
    """Accuracy of one classifier on one frozen layer."""

    layer: str
    dimensions: int = Field(ge=1)
    probe: Literal["linear", "knn"]
    k: int | None = None
    accuracy: float = Field(ge=0, le=1)


class Quality(_Record):
    """Measured usefulness of the frozen encoder; empty scores mean that the data had no labels."""

    split: str
    images: int = Field(ge=0)
    majority: float | None = Field(default=None, ge=0, le=1)
    scores: tuple[ProbeScore, ...] = ()


class Golden(_Record):
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


class ModelCard(_Record):
    """The contract between training and serving for one model version."""

    schema_version: Literal[1] = 1
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

    @model_validator(mode="after")
    def _consistent(self) -> "ModelCard":
        if self.preprocessing_sha256 != self.preprocessing.sha256:
            raise ValueError("preprocessing_sha256 is not the hash of the preprocessing record")
        if {digest.file for digest in self.weights} != {ENCODER_FILE, CRITIC_FILE}:
            raise ValueError(f"weights must name exactly {ENCODER_FILE} and {CRITIC_FILE}")
        if len(self.golden.embedding) != self.shapes.embedding or len(self.golden.code) != self.shapes.code:
            raise ValueError("the golden outputs do not have the sizes stated in shapes")
        grid = (len(self.golden.mi_map), {len(row) for row in self.golden.mi_map})
        if grid != (self.patch_grid.rows, {self.patch_grid.columns}):
            raise ValueError("the golden mi_map does not have the size of the patch grid")
        return self

    @property
    def id(self) -> str:
        """`name/version`, the key under which indexed items are bound to the model."""
        return f"{self.name}/{self.version}"

    def to_json(self) -> str:
        """The exact text of `card.json` and of the graphs' metadata."""
        return self.model_dump_json(indent=2) + "\n"
