"""Writes a model folder: whole or not at all, and never over another."""

from pathlib import Path

import onnx

from contract.artefact import Artefact, open_artefact
from contract.card import CARD_FILE, CRITIC_FILE, ENCODER_FILE, INT8_ENCODER_FILE, ModelCard
from contract.owned_folder import OwnedFolder
from training.errors import ExportError
from training.export.model_readme import readme
from training.export.onnx_files import write

README_FILE = "README.md"


def folder_of(models: Path, name: str, version: int) -> Path:
    """Name the folder of a version.

    Raises:
        ExportError: it exists already.
    """
    folder = models / name / str(version)
    if folder.exists():
        raise ExportError(f"{folder} exists already; a version is written once, so choose the next number.")
    return folder


def next_version(models: Path, name: str) -> int:
    """Number the version after the last one of a model; 1 where there is none."""
    return (
        max((int(folder.name) for folder in (models / name).glob("*") if folder.name.isdecimal()), default=0)
        + 1
    )


def write_folder(
    card: ModelCard,
    encoder: onnx.ModelProto,
    critic: onnx.ModelProto,
    models: Path,
    int8: onnx.ModelProto | None = None,
) -> Artefact:
    """Write graphs, card and README into `<models>/<name>/<version>` and open the result.

    The folder is built and checked beside its place and then renamed into it, so that half of one is never
    opened.

    Args:
        card: names the graphs' digests.
        encoder, critic: the graphs.
        models: the folder that holds `<name>/<version>`.
        int8: the encoder in 8 bits, where the card lists one.

    Raises:
        ExportError: the version exists already.
        ArtefactError: what was written breaks a rule of the contract.
    """
    folder = folder_of(models, card.name, card.version)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with OwnedFolder(".building-", models) as building:
        draft = folder_of(building.path, card.name, card.version)
        draft.mkdir(parents=True)
        write(encoder, card, draft / ENCODER_FILE)
        write(critic, card, draft / CRITIC_FILE)
        if int8 is not None:
            write(int8, card, draft / INT8_ENCODER_FILE)
        (draft / CARD_FILE).write_text(card.to_json())
        (draft / README_FILE).write_text(readme(card))
        open_artefact(draft)
        draft.rename(folder)
    return open_artefact(folder)
