"""Measured model: one encoder of one model folder."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from contract.artefact import open_artefact
from contract.card import ENCODER_FILES
from contract.images import decode
from contract.precision import Precision
from contract.preprocessing import Preprocessing
from service.inference.locating import locate
from service.system.cpu_count import usable_cores

# Effect of the batch's shape on sums of floats, and on sums that are rounded to 8 bits.
_TOLERANCE: dict[Precision, float] = {"fp32": 1e-4, "int8": 2e-2}


@dataclass(frozen=True)
class BenchModel:
    """Model that every server serves.

    Attributes:
        folder: `<models>/<name>/<version>`.
        id: `name/version`.
        precision: precision of the encoder.
        rule: preprocessing rule.
    """

    folder: Path
    id: str
    precision: Precision
    rule: Preprocessing

    @property
    def file(self) -> str:
        return ENCODER_FILES[self.precision]

    @property
    def encoder(self) -> Path:
        return self.folder / self.file

    @property
    def models_dir(self) -> Path:
        return self.folder.parents[1]

    @property
    def tolerance(self) -> float:
        """Largest difference of two numbers of an embedding that is not an error."""
        return _TOLERANCE[self.precision]

    def session(self) -> ort.InferenceSession:
        """Open the encoder on one thread."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.set_denormal_as_zero", "1")
        return ort.InferenceSession(str(self.encoder), options, providers=["CPUExecutionProvider"])

    def embeddings(self, files: tuple[bytes, ...]) -> NDArray[np.float32]:
        """Compute the right answers: float32 [N, D]."""
        session = self.session()
        images = [decode(file, self.rule).pixels[None] for file in files]
        return np.concatenate([session.run(["embedding"], {"image": image})[0] for image in images])


def open_model(models: Path, model: str, precision: Precision) -> BenchModel:
    """Find and check a model.

    Raises:
        ArtefactError: the model is missing or breaks a rule of the contract.
        FileNotFoundError: the model has no encoder of that precision.
    """
    artefact = open_artefact(locate(models.resolve(), model))
    chosen = BenchModel(artefact.folder, artefact.card.id, precision, artefact.card.preprocessing)
    if precision == "int8" and artefact.card.int8 is None:
        raise FileNotFoundError(f"{chosen.id} has no {chosen.file}, which --precision {precision} asks for.")
    return chosen


def cores() -> int:
    """Count the cores that the measurement may use; every server gets as many processes."""
    return usable_cores()
