"""The tiny model with another preprocessing rule: a card of schema 3 where it needs one."""

from pathlib import Path

import onnx

from contract.artefact import open_artefact
from contract.card import ModelCard
from contract.preprocessing import Preprocessing
from tests.tiny_int8 import COST
from tests.tiny_model import build_tiny_model, write_artefact


def build_tiny_with_rule(models_dir: Path, rule: Preprocessing, version: int = 1) -> Path:
    """Write `models_dir/tiny/<version>` for images of the tiny model's size. Returns the folder."""
    folder = build_tiny_model(models_dir, version)
    artefact = open_artefact(folder)
    encoder, critic = onnx.load(artefact.encoder), onnx.load(artefact.critic)
    card = ModelCard.model_validate(
        artefact.card.model_dump()
        | {
            "schema_version": 2 if rule.decoder == "pillow-1" else 3,
            "preprocessing": rule.model_dump(),
            "preprocessing_sha256": rule.sha256,
            "inference": COST.model_dump(),
        }
    )
    write_artefact(folder, card, encoder, critic)
    return folder
