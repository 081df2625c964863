"""Loaded model: two ONNX graphs behind typed calls, and the self-test against the card."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

from contract.artefact import Artefact, open_artefact
from contract.bank_error import STANDARD_ERROR, with_standard_error
from contract.card import ModelCard
from contract.errors import ArtefactError
from contract.images import decode
from contract.occlusion import GREY
from contract.precision import Precision
from contract.training_distance import TRAINING_DISTANCE, with_training_distance
from contract.trunk import CODE, FEATURES, GLOBAL, projection_of, trunk_of
from service.inference.device_choice import DeviceChoice
from service.inference.execution_report import ExecutionReport, report
from service.inference.gpu_options import GpuOptions
from service.inference.io_binding import BoundSession
from service.inference.locating import locate
from service.inference.precision import choose
from service.inference.providers import bound, choose_device, open_session
from service.inference.results import Projections
from service.settings import RequestedPrecision, Settings

_NO_FEATURES = np.empty(0, np.float32)
_NO_DISTANCES = np.empty(0, np.float32)
_TENSOR = {"uint8": "tensor(uint8)", "float32": "tensor(float)"}


@dataclass(frozen=True, slots=True)
class Encoded:
    """Outputs of the encoder for N images: float32 [N, D], [N, Y], [N, C, M, M] and [N].

    Features that were not asked for are [0], as are distances of a model that knows none.
    """

    embedding: NDArray[np.float32]
    code: NDArray[np.float32]
    features: NDArray[np.float32]
    training_distance: NDArray[np.float32] = field(default_factory=lambda: _NO_DISTANCES)


@dataclass(frozen=True, slots=True)
class Criticised:
    """Outputs of the critic for N images: float32 [N, M, M] in nats, and N projections where asked for.

    `standard_error` is that of each patch by the bank; None where the critic has no bank.
    """

    mi_map: NDArray[np.float32]
    projections: Sequence[Projections] = ()
    standard_error: NDArray[np.float32] | None = None


class Model:
    """Opened model folder. Its runs are thread-safe and compute without the interpreter lock.

    Attributes:
        card: the model's card.
        precision: precision of the encoder that runs.
        report: what runs the model.
    """

    def __init__(
        self,
        artefact: Artefact,
        device: DeviceChoice,
        threads_per_run: int,
        precision: RequestedPrecision = "auto",
    ) -> None:
        """Load the encoder of the requested precision, and the critic.

        Raises:
            ArtefactError: ONNX Runtime refuses a graph, or its inputs and outputs differ from the card's.
            SettingsError: the GPU was demanded and the loaded graphs do not run on it, or int8 was demanded
                and the model has no int8 encoder.
        """
        self.card: ModelCard = artefact.card
        self._artefact, self._device, self._threads = artefact, device, threads_per_run
        self._opening = Lock()
        self._opened = False
        self._trunk: ort.InferenceSession | BoundSession | None = None
        self._grey: NDArray[np.float32] | None = None
        choice = choose(precision, artefact.card, on_gpu=device.on_gpu)
        self.precision: Precision = choice.active
        encoder = artefact.encoder_of(choice.active)
        content = with_training_distance(onnx.load(encoder)).SerializeToString()
        self._encoder = _load(encoder, device, threads_per_run, content)
        plain = onnx.load(artefact.critic)
        calibration = artefact.card.calibration
        critic = with_standard_error(plain, calibration.bank, calibration.offset_nats or 0.0)
        self._critic = _load(artefact.critic, device, threads_per_run, critic.SerializeToString())
        # ONNX Runtime executes a whole graph for any output, and the bank is most of this one.
        projection = projection_of(plain)
        self._projection = (
            None
            if projection is None
            else _load(artefact.critic, device, threads_per_run, projection.SerializeToString())
        )
        self._check_shapes()
        encoder_outputs = {out.name for out in self._encoder.get_outputs()}
        self._distances = [TRAINING_DISTANCE] if TRAINING_DISTANCE in encoder_outputs else []
        critic_outputs = {out.name for out in self._critic.get_outputs()}
        self._errors = [STANDARD_ERROR] if STANDARD_ERROR in critic_outputs else []
        self._has_normaliser = "local_log_normaliser" in critic_outputs
        self.report: ExecutionReport = report(device, self._encoder, self._critic, threads_per_run, choice)
        # After the report, which reads the sessions themselves.
        self._encoder = bound(self._encoder, device)
        self._critic = bound(self._critic, device)

    def encode(self, images: NDArray[np.uint8], *, features: bool) -> Encoded:
        """Run the encoder on uint8 [N, H, W, 3]; `features` as the critic needs them."""
        names = ["embedding", "code", *(["features"] if features else []), *self._distances]
        outputs = dict(zip(names, self._encoder.run(names, {"image": images}), strict=True))
        return Encoded(
            outputs["embedding"],
            outputs["code"],
            outputs.get("features", _NO_FEATURES),
            outputs.get(TRAINING_DISTANCE, _NO_DISTANCES),
        )

    def open_trunk(self) -> NDArray[np.float32] | None:
        """Load the part of the encoder behind its features, once, and return the code of a grey image, [Y].

        It is in float32 whatever the encoder's precision. The result is None where the code needs more of the
        image than its features.
        """
        with self._opening:
            if not self._opened:
                self._load_trunk()
                self._opened = True
            return self._grey

    def _load_trunk(self) -> None:
        encoder = self._artefact.encoder_of("fp32")
        graph = trunk_of(onnx.load(encoder))
        if graph is None:
            return
        session = _load(encoder, self._device, self._threads, graph.SerializeToString())
        self._trunk = bound(session, self._device)
        rule = self.card.preprocessing
        image = np.full((1, rule.height, rule.width, 3), GREY, np.uint8)
        self._grey = self.encode_features(self.encode(image, features=True).features)[0]

    def encode_features(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute codes [N, Y] of features [N, C, M, M]; the trunk is open."""
        assert self._trunk is not None  # noqa: S101 (`open_trunk` comes first)
        (code,) = self._trunk.run([CODE], {FEATURES: features})
        codes: NDArray[np.float32] = code
        return codes

    def project(self, code: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute the critic's projections [N, U] of codes [N, Y] whose images are not at hand."""
        if self._projection is not None:
            (global_,) = self._projection.run([GLOBAL], {CODE: code})
        else:
            shapes, grid = self.card.shapes, self.card.patch_grid
            features = np.zeros((len(code), shapes.channels, grid.rows, grid.columns), np.float32)
            (global_,) = self._critic.run([GLOBAL], {FEATURES: features, CODE: code})
        projected: NDArray[np.float32] = global_
        return projected

    def criticise(
        self, features: NDArray[np.float32], code: NDArray[np.float32], *, projections: bool
    ) -> Criticised:
        """Run the critic on the encoder's features [N, C, M, M] and code [N, Y]."""
        names = ["mi_map", *self._errors]
        if projections:
            names += ["local", "global"]
            names += ["local_log_normaliser"] if self._has_normaliser else []
        outputs = dict(zip(names, self._critic.run(names, {"features": features, "code": code}), strict=True))
        mi_map, standard_error = outputs["mi_map"], outputs.get(STANDARD_ERROR)
        if not projections:
            return Criticised(mi_map, standard_error=standard_error)
        normalisers = outputs.get("local_log_normaliser", np.zeros_like(mi_map))
        rows = zip(outputs["local"], outputs["global"], normalisers, strict=True)
        return Criticised(mi_map, [Projections(*row) for row in rows], standard_error)

    def self_test(self, batch: int = 1) -> None:
        """Decode the card's golden image and compare the outputs, for every row of a batch of it.

        Raises:
            ArtefactError: naming the output that differs, by how much and on which provider.
        """
        image = base64.b64decode(self.card.golden.image_base64)
        picture = decode(image, self.card.preprocessing).pixels
        encoded = self.encode(np.repeat(picture[None], batch, axis=0), features=True)
        criticised = self.criticise(encoded.features, encoded.code, projections=True)
        outputs = (encoded.embedding, encoded.code, criticised.mi_map)
        golden = self.card.golden_of(self.precision).expected
        for actual, (name, expected, tolerance) in zip(outputs, golden, strict=True):
            difference = float(np.abs(actual - np.asarray(expected, np.float32)).max())
            if not difference <= tolerance:
                raise ArtefactError(
                    f"{self.card.id} fails its self-test on {self.report.active}: {name} differs in "
                    f"{self.precision} from the card by {difference:.3g} in a batch of {batch}; "
                    f"{tolerance:g} is allowed. "
                    "Export the model again, or run it on the CPU."
                )

    def _check_shapes(self) -> None:
        rule, grid, shapes = self.card.preprocessing, self.card.patch_grid, self.card.shapes
        image = ("uint8", [rule.height, rule.width, 3])
        code = ("float32", [shapes.code])
        features = ("float32", [shapes.channels, grid.rows, grid.columns])
        mi_map = ("float32", [grid.rows, grid.columns])
        embedding = ("float32", [shapes.embedding])
        local = ("float32", [shapes.critic_units, grid.rows, grid.columns])
        global_ = ("float32", [shapes.critic_units])
        critic_outputs = {"mi_map": mi_map, "local": local, "global": global_}
        _check_tensors("encoder input", self._encoder.get_inputs(), {"image": image})
        _check_tensors(
            "encoder output",
            self._encoder.get_outputs(),
            {"embedding": embedding, "code": code, "features": features},
        )
        _check_tensors("critic input", self._critic.get_inputs(), {"features": features, "code": code})
        _check_tensors("critic output", self._critic.get_outputs(), critic_outputs)


def open_model(settings: Settings) -> Model:
    """Find, check, place and load the model that the settings name.

    Raises:
        ArtefactError: the model is missing or breaks a rule of the contract.
        SettingsError: the demanded device does not work, or the model has no encoder of the demanded
            precision.
    """
    artefact = open_artefact(locate(settings.models_dir, settings.model))
    device = choose_device(settings.device, artefact.encoder, GpuOptions.of(settings))
    return Model(artefact, device, settings.threads_per_run, settings.precision)


def _load(
    graph: Path, device: DeviceChoice, threads: int, content: bytes | None = None
) -> ort.InferenceSession:
    """Open a session over a graph's file, or over `content` where that was made of it."""
    try:
        return open_session(content or graph, device, threads)
    except Exception as error:
        raise ArtefactError(f"ONNX Runtime cannot load {graph}: {error}") from error


def _check_tensors(what: str, tensors: list[ort.NodeArg], expected: dict[str, tuple[str, list[int]]]) -> None:
    """Check names, types and all sizes but the first, which has to be free."""
    present = {tensor.name: tensor for tensor in tensors}
    for name, (dtype, shape) in expected.items():
        if name not in present:
            raise ArtefactError(f"The {what} {name!r} is missing. There is {', '.join(present)}.")
        tensor = present[name]
        if tensor.type != _TENSOR[dtype] or tensor.shape[1:] != shape or isinstance(tensor.shape[0], int):
            raise ArtefactError(
                f"The {what} {name!r} is {tensor.type} {tensor.shape}. "
                f"Its card asks for {dtype} {['N', *shape]}."
            )
