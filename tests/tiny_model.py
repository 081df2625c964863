"""A whole model folder in a few kilobytes, for tests: true graphs, a true card, true golden outputs.

The nets are real (strided convolutions, a projection critic with a bank of negatives) with random
weights, so that every code path of serving runs as with a trained model. Made without torch.
"""

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from contract import artefact
from contract.card import (
    CARD_FILE,
    CRITIC_FILE,
    ENCODER_FILE,
    METADATA_KEY,
    Calibration,
    Golden,
    ModelCard,
    Quality,
    Shapes,
    Training,
    WeightsDigest,
)
from contract.patches import PatchGrid
from contract.preprocessing import Preprocessing

NAME = "tiny"
SIDE = 32
GRID = 8
CHANNELS = 16
CODE = 12
EMBEDDING = 20
UNITS = 10
BANK = 64
_OPSET = 20
_FLOAT = TensorProto.FLOAT


@dataclass(frozen=True)
class _Golden:
    embedding: NDArray[np.float32]
    code: NDArray[np.float32]
    mi_map: NDArray[np.float32]


def build_tiny_model(models_dir: Path, version: int = 1, seed: int = 0) -> Path:
    """Write `models_dir/tiny/<version>/`; another seed gives another model. Returns the folder."""
    folder = models_dir / NAME / str(version)
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    encoder, critic = _encoder(rng), _critic(rng)
    picture = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    card = _card(version, seed, encoder, critic, picture, _run(encoder, critic, picture))
    write_artefact(folder, card, encoder, critic)
    return folder


def write_artefact(folder: Path, card: ModelCard, encoder: onnx.ModelProto, critic: onnx.ModelProto) -> None:
    """Write the three files of a model folder, the card inside both graphs as well as beside them."""
    for model, name in ((encoder, ENCODER_FILE), (critic, CRITIC_FILE)):
        helper.set_model_props(model, {METADATA_KEY: card.to_json()})
        onnx.save(model, folder / name)
    (folder / CARD_FILE).write_text(card.to_json())


def _encoder(rng: np.random.Generator) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Cast", ["image"], ["as_float"], to=_FLOAT),
        helper.make_node("Div", ["as_float", "half_range"], ["scaled"]),
        helper.make_node("Sub", ["scaled", "one"], ["centred"]),
        helper.make_node("Transpose", ["centred"], ["planes"], perm=[0, 3, 1, 2]),
        _strided("planes", "w1", "map1"),
        helper.make_node("Relu", ["map1"], ["relu1"]),
        _strided("relu1", "w2", "map2"),
        helper.make_node("Relu", ["map2"], ["features"]),
        _strided("features", "w3", "map3"),
        helper.make_node("Relu", ["map3"], ["conv"]),
        helper.make_node("Flatten", ["conv"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w_fc"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["fc"]),
        helper.make_node("MatMul", ["fc", "w_code"], ["code"]),
        helper.make_node("MatMul", ["flat", "w_embedding"], ["unnormalised"]),
        helper.make_node("LpNormalization", ["unnormalised"], ["embedding"], axis=1, p=2),
    ]
    weights = [
        numpy_helper.from_array(np.array(127.5, np.float32), "half_range"),
        numpy_helper.from_array(np.array(1, np.float32), "one"),
        _weights(rng, "w1", 8, 3, 4, 4),
        _weights(rng, "w2", CHANNELS, 8, 4, 4),
        _weights(rng, "w3", 24, CHANNELS, 4, 4),
        _weights(rng, "w_fc", 24 * 16, 32, transposed=True),
        _weights(rng, "w_code", 32, CODE, transposed=True),
        _weights(rng, "w_embedding", 24 * 16, EMBEDDING, transposed=True),
    ]
    return _model(
        "tiny-encoder",
        nodes,
        weights,
        inputs=[helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", SIDE, SIDE, 3])],
        outputs=[
            helper.make_tensor_value_info("embedding", _FLOAT, ["N", EMBEDDING]),
            helper.make_tensor_value_info("code", _FLOAT, ["N", CODE]),
            helper.make_tensor_value_info("features", _FLOAT, ["N", CHANNELS, GRID, GRID]),
            helper.make_tensor_value_info("conv", _FLOAT, ["N", 24, 4, 4]),
            helper.make_tensor_value_info("fc", _FLOAT, ["N", 32]),
        ],
    )


def _critic(rng: np.random.Generator) -> onnx.ModelProto:
    """T(patch, code) = <local, global>; mi_map = T - log mean over the bank of exp T(patch, bank code)."""
    nodes = [
        helper.make_node("Conv", ["features", "w_local"], ["local"], kernel_shape=[1, 1]),
        helper.make_node("MatMul", ["code", "w_global"], ["global"]),
        helper.make_node("Einsum", ["local", "global"], ["scores"], equation="nuij,nu->nij"),
        helper.make_node("Einsum", ["local", "bank"], ["bank_scores"], equation="nuij,bu->nijb"),
        helper.make_node("ReduceLogSumExp", ["bank_scores", "last_axis"], ["log_sum"], keepdims=0),
        helper.make_node("Sub", ["log_sum", "log_bank"], ["local_log_normaliser"]),
        helper.make_node("Sub", ["scores", "local_log_normaliser"], ["mi_map"]),
    ]
    weights = [
        _weights(rng, "w_local", UNITS, CHANNELS, 1, 1),
        _weights(rng, "w_global", CODE, UNITS, transposed=True),
        numpy_helper.from_array(rng.standard_normal((BANK, UNITS)).astype(np.float32) / 2, "bank"),
        numpy_helper.from_array(np.array([-1], np.int64), "last_axis"),
        numpy_helper.from_array(np.array(np.log(BANK), np.float32), "log_bank"),
    ]
    return _model(
        "tiny-critic",
        nodes,
        weights,
        inputs=[
            helper.make_tensor_value_info("features", _FLOAT, ["N", CHANNELS, GRID, GRID]),
            helper.make_tensor_value_info("code", _FLOAT, ["N", CODE]),
        ],
        outputs=[
            helper.make_tensor_value_info("mi_map", _FLOAT, ["N", GRID, GRID]),
            helper.make_tensor_value_info("local", _FLOAT, ["N", UNITS, GRID, GRID]),
            helper.make_tensor_value_info("global", _FLOAT, ["N", UNITS]),
            helper.make_tensor_value_info("local_log_normaliser", _FLOAT, ["N", GRID, GRID]),
        ],
    )


def _strided(source: str, weights: str, target: str) -> onnx.NodeProto:
    return helper.make_node(
        "Conv", [source, weights], [target], kernel_shape=[4, 4], strides=[2, 2], pads=[1, 1, 1, 1]
    )


def _weights(rng: np.random.Generator, name: str, *shape: int, transposed: bool = False) -> onnx.TensorProto:
    fan_in = shape[0] if transposed else int(np.prod(shape[1:]))
    values = rng.standard_normal(shape) * np.sqrt(2 / fan_in)
    return numpy_helper.from_array(values.astype(np.float32), name)


def _model(
    name: str,
    nodes: list[onnx.NodeProto],
    weights: list[onnx.TensorProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, name, inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model


def _run(encoder: onnx.ModelProto, critic: onnx.ModelProto, picture: NDArray[np.uint8]) -> _Golden:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    first = ort.InferenceSession(encoder.SerializeToString(), options, providers=["CPUExecutionProvider"])
    second = ort.InferenceSession(critic.SerializeToString(), options, providers=["CPUExecutionProvider"])
    embedding, code, features = first.run(["embedding", "code", "features"], {"image": picture[None]})
    (mi_map,) = second.run(["mi_map"], {"features": features, "code": code})
    return _Golden(embedding=embedding[0], code=code[0], mi_map=mi_map[0])


def _card(
    version: int,
    seed: int,
    encoder: onnx.ModelProto,
    critic: onnx.ModelProto,
    picture: NDArray[np.uint8],
    golden: _Golden,
) -> ModelCard:
    png = BytesIO()
    Image.fromarray(picture).save(png, "PNG")
    preprocessing = Preprocessing(height=SIDE, width=SIDE)
    return ModelCard(
        schema_version=1,
        name=NAME,
        version=version,
        created=datetime(2026, 1, 1, tzinfo=UTC),
        licence="Apache-2.0",
        summary="Random weights; for tests only.",
        limits=("Not trained: its outputs mean nothing.",),
        opset=_OPSET,
        weights=(
            WeightsDigest(file=ENCODER_FILE, sha256=artefact.weights_sha256(encoder)),
            WeightsDigest(file=CRITIC_FILE, sha256=artefact.weights_sha256(critic)),
        ),
        preprocessing=preprocessing,
        preprocessing_sha256=preprocessing.sha256,
        patch_grid=PatchGrid(rows=GRID, columns=GRID, stride=4, receptive_field=10, first_centre=2),
        shapes=Shapes(embedding=EMBEDDING, code=CODE, channels=CHANNELS, critic_units=UNITS),
        encoder="tiny",
        embedding_layer="projection of conv",
        encoder_macs=98_304 + 131_072 + 98_304 + 384 * 32 + 32 * CODE + 384 * EMBEDDING,
        calibration=Calibration(
            joint="none: random weights",
            estimator="infonce",
            bank=BANK,
            mi_nats=0,
            mi_standard_error=0,
            bank_error_nats=0,
            lower_bound_nats=0,
            shuffled_nats=0,
            joint_auc=0.5,
            flip_error_nats=0,
            images=2,
            split="none",
        ),
        training=Training(
            data="none",
            images=1,
            recipe="none",
            recipe_toml="seed = 0\nvalidation_share = 0.1\n",
            estimator="none",
            critic="none",
            seed=seed,
            epochs=0,
            seconds=0,
            hardware="none",
            torch="none",
        ),
        quality=Quality(split="none", images=0),
        golden=Golden(
            image_base64=base64.b64encode(png.getvalue()).decode(),
            embedding=tuple(golden.embedding.tolist()),
            code=tuple(golden.code.tolist()),
            mi_map=tuple(tuple(row) for row in golden.mi_map.tolist()),
            tolerance=1e-3,
        ),
    )
