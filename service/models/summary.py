"""Summary of a model folder: the figures of a card that choose between models."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from contract.artefact import read_card
from contract.card import CARD_FILE, ModelCard, WeightsDigest
from contract.errors import ArtefactError


@dataclass(frozen=True)
class ModelSummary:
    """Figures of one model version, as its card states them.

    Attributes:
        bytes: size of the graphs, in each precision that the folder holds.
        input: height and width that images are resized to, in pixels.
        embedding: numbers in one embedding.
        patches: rows and columns of a map.
        knn_accuracy: k nearest neighbours by the embedding; None without labels.
        linear_accuracy: best linear classifier of a frozen layer, and `linear_layer` its name.
        measured_images, measured_split: held-out images that both accuracies were measured on.
        majority: accuracy of always answering the most frequent class; None without labels.
        mi_nats, mi_standard_error: mean information of a patch and the code, in nats.
        joint_auc: share of patches that score higher with their own image's code than with another's.
        images_per_second: fp32 encoder on one thread, best batch size; None in cards of schema 1.
        processor: what that was measured on.
        macs: multiply-accumulates of one image.
        trained_images: images that the training saw.
    """

    name: str
    version: int
    folder: str
    created: str
    bytes: int
    precisions: tuple[str, ...]
    input: tuple[int, int]
    embedding: int
    patches: tuple[int, int]
    knn_accuracy: float | None
    linear_accuracy: float | None
    linear_layer: str | None
    measured_images: int
    measured_split: str
    majority: float | None
    mi_nats: float
    mi_standard_error: float
    joint_auc: float
    images_per_second: float | None
    processor: str | None
    macs: int
    trained_images: int
    trained_on: str
    licence: str
    summary: str

    @property
    def id(self) -> str:
        """`name/version`."""
        return f"{self.name}/{self.version}"

    def measured_like(self, other: "ModelSummary") -> bool:
        """Whether both were measured on the same held-out images."""
        return (self.measured_split, self.measured_images) == (other.measured_split, other.measured_images)

    @classmethod
    def of(cls, folder: Path) -> "ModelSummary":
        """Read the card of a folder; the graphs are neither opened nor checked.

        Raises:
            ArtefactError: the card cannot be read or is invalid.
        """
        card = card_of(folder)
        scores = card.quality.scores
        knn = [one.accuracy for one in scores if one.probe == "knn" and one.layer == "embedding"]
        linear = max(
            (one for one in scores if one.probe == "linear"), key=lambda one: one.accuracy, default=None
        )
        speed = card.inference
        return cls(
            name=card.name,
            version=card.version,
            folder=str(folder),
            created=card.created.isoformat(),
            bytes=sum((folder / digest.file).stat().st_size for digest in _present(folder, card)),
            precisions=("fp32",) if card.int8 is None else ("fp32", "int8"),
            input=(card.preprocessing.height, card.preprocessing.width),
            embedding=card.shapes.embedding,
            patches=(card.patch_grid.rows, card.patch_grid.columns),
            knn_accuracy=knn[0] if knn else None,
            linear_accuracy=None if linear is None else linear.accuracy,
            linear_layer=None if linear is None else linear.layer,
            measured_images=card.quality.images,
            measured_split=card.quality.split,
            majority=card.quality.majority,
            mi_nats=card.calibration.mi_nats,
            mi_standard_error=card.calibration.mi_standard_error,
            joint_auc=card.calibration.joint_auc,
            images_per_second=None if speed is None else max(one.images_per_second for one in speed.speeds),
            processor=None if speed is None else speed.processor,
            macs=card.encoder_macs,
            trained_images=card.training.images,
            trained_on=card.training.data,
            licence=card.licence,
            summary=card.summary,
        )


def card_of(folder: Path) -> ModelCard:
    """Read the card of a model folder.

    Raises:
        ArtefactError: the card cannot be read or is invalid.
    """
    path = folder / CARD_FILE
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ArtefactError(f"{path} cannot be read: {error}. Export the model again.") from error
    return read_card(text, source=str(path))


def _present(folder: Path, card: ModelCard) -> Iterator[WeightsDigest]:
    for digest in card.digests:
        if not (folder / digest.file).is_file():
            raise ArtefactError(f"{folder} has no {digest.file}, which its card lists; export it again.")
        yield digest
