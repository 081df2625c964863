"""The tiny model with its encoder in 8 bits beside it: quantised as an export does it, and without torch."""

import base64
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

from contract.artefact import open_artefact, weights_sha256
from contract.card import INT8_ENCODER_FILE, METADATA_KEY, Int8Encoder, Int8Golden, ModelCard, WeightsDigest
from contract.images import decode
from contract.precision import InferenceCost, PrecisionLoss, Speed
from tests.tiny_model import SIDE, build_tiny_model, write_artefact
from training.export.quantise import quantise

COST = InferenceCost(
    provider="CPUExecutionProvider",
    processor="none",
    threads=1,
    runtime="none",
    speeds=(Speed(batch=1, images_per_second=1),),
)


def int8_record(
    card: ModelCard,
    sha256: str = "0" * 64,
    golden: Int8Golden | None = None,
    knn: Sequence[float | None] = (0.5, 0.5),
) -> Int8Encoder:
    """A record for a card; its golden outputs are those of fp32 unless others are given."""
    same = Int8Golden(
        embedding=card.golden.embedding,
        code=card.golden.code,
        mi_map=card.golden.mi_map,
        embedding_tolerance=1,
        code_tolerance=1,
        mi_map_tolerance=1,
    )
    return Int8Encoder(
        weights=WeightsDigest(file=INT8_ENCODER_FILE, sha256=sha256),
        scheme="none",
        calibration_images=1,
        loss=PrecisionLoss(
            split="none", images=1, mean_cosine=1, least_cosine=1, knn_fp32=knn[0], knn_int8=knn[1]
        ),
        maps=card.calibration,
        inference=COST,
        golden=golden or same,
    )


def build_tiny_int8(models_dir: Path, knn: Sequence[float | None] = (0.5, 0.5)) -> Path:
    """Write `models_dir/tiny/1` with both encoders, of card schema 2; `knn` is what its card says of both.

    Returns the folder.
    """
    folder = build_tiny_model(models_dir)
    artefact = open_artefact(folder)
    encoder, critic = onnx.load(artefact.encoder), onnx.load(artefact.critic)
    pictures = np.random.default_rng(1).integers(0, 256, (64, SIDE, SIDE, 3), dtype=np.uint8)
    int8 = quantise(encoder, pictures, seed=0)
    golden = _golden(artefact.card, int8, critic)
    record = int8_record(artefact.card, weights_sha256(int8), golden, knn)
    card = ModelCard.model_validate(
        artefact.card.model_dump()
        | {"schema_version": 2, "inference": COST.model_dump(), "int8": record.model_dump()}
    )
    write_artefact(folder, card, encoder, critic)
    onnx.helper.set_model_props(int8, {METADATA_KEY: card.to_json()})
    onnx.save(int8, folder / INT8_ENCODER_FILE)
    return folder


def _golden(card: ModelCard, encoder: onnx.ModelProto, critic: onnx.ModelProto) -> Int8Golden:
    picture = decode(base64.b64decode(card.golden.image_base64), card.preprocessing).pixels
    first, second = (
        ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        for model in (encoder, critic)
    )
    embedding, code, features = first.run(["embedding", "code", "features"], {"image": picture[None]})
    (mi_map,) = second.run(["mi_map"], {"features": features, "code": code})
    return Int8Golden(
        embedding=tuple(embedding[0].tolist()),
        code=tuple(code[0].tolist()),
        mi_map=tuple(tuple(row) for row in mi_map[0].tolist()),
        embedding_tolerance=0.01,
        code_tolerance=0.05,
        mi_map_tolerance=0.05,
    )
