"""Distance to the mean of the training images, from what an encoder's graph holds."""

import math
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from contract.training_distance import TRAINING_DISTANCE, WHITENING, with_training_distance
from tests.tiny_model import build_tiny_model

INPUTS, UNITS = 6, 4


def encoder(
    mean: NDArray[np.float64], axes: NDArray[np.float64], *, behind: tuple[str, ...] = (), opset: int = 20
) -> onnx.ModelProto:
    """A graph that ends as training exports it, for vectors [N, D] in place of images."""
    nodes = [
        helper.make_node("Sub", ["image", "mean"], ["centred"]),
        helper.make_node("MatMul", ["centred", "axes"], ["product"]),
        helper.make_node("Mul", ["product", "product"], ["squares"]),
        helper.make_node("ReduceSum", ["squares", "one"], ["sum"], keepdims=1),
        helper.make_node("Sqrt", ["sum"], ["length"]),
        helper.make_node("Div", ["product", "length"], ["inner" if behind else "embedding"]),
    ]
    nodes += [helper.make_node(kind, ["inner"], ["embedding"]) for kind in behind]
    arrays = {"mean": mean.astype(np.float32), "axes": axes.astype(np.float32), "one": np.array([1])}
    graph = helper.make_graph(
        nodes,
        "encoder",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", INPUTS])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", UNITS])],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def run(model: onnx.ModelProto, images: NDArray[np.float64]) -> NDArray[np.float32]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (distance,) = session.run([TRAINING_DISTANCE], {"image": images.astype(np.float32)})
    return np.asarray(distance)


@pytest.fixture
def training() -> NDArray[np.float64]:
    draw = np.random.default_rng(0)
    return draw.normal(size=(500, INPUTS)) @ draw.normal(size=(INPUTS, INPUTS)) + 3


def fitted(vectors: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    variances, axes = np.linalg.eigh(np.cov(vectors.T, bias=True))
    order = np.argsort(-variances)[:UNITS]
    return vectors.mean(axis=0), axes[:, order] * variances[order] ** (-WHITENING / 2)


@pytest.mark.parametrize("behind", [(), ("Identity",)])
@pytest.mark.parametrize("opset", [13, 17, 20])
def test_the_root_mean_square_over_the_training_is_one(
    training: NDArray[np.float64], behind: tuple[str, ...], opset: int
) -> None:
    model = with_training_distance(encoder(*fitted(training), behind=behind, opset=opset))
    distance = run(model, training)
    assert distance.shape == (len(training),)
    assert math.sqrt(np.square(distance).mean()) == pytest.approx(1, abs=1e-3)


def test_it_grows_with_the_distance_and_is_zero_at_the_mean(training: NDArray[np.float64]) -> None:
    mean, axes = fitted(training)
    model = with_training_distance(encoder(mean, axes))
    offset = training[0] - mean
    near, far, none = run(model, np.stack([mean + offset, mean + 3 * offset, mean]))
    assert far == pytest.approx(3 * near, rel=1e-3)
    assert none == pytest.approx(0, abs=1e-4)


def test_axes_that_were_left_out_play_no_part(training: NDArray[np.float64]) -> None:
    mean, axes = fitted(training)
    axes[:, -1] = 0
    distance = run(with_training_distance(encoder(mean, axes)), training)
    assert math.sqrt(np.square(distance).mean()) == pytest.approx(1, abs=1e-3)


def test_an_encoder_without_fitted_axes_stays_as_it_is(tmp_path: Path) -> None:
    model = onnx.load(build_tiny_model(tmp_path) / "encoder.onnx")
    assert with_training_distance(model) is model


def test_the_embedding_stays_as_it_was(training: NDArray[np.float64]) -> None:
    model = encoder(*fitted(training))
    extended = with_training_distance(model)
    onnx.checker.check_model(extended, full_check=True)
    assert [value.name for value in model.graph.output] == ["embedding"]
    assert list(extended.graph.node)[: len(model.graph.node)] == list(model.graph.node)
