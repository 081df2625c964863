"""Standard error of a patch by its bank, against its formula and against what other banks give."""

import math

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from contract.bank_error import STANDARD_ERROR, with_standard_error

UNITS, SIDE = 3, 2


def critic(bank: NDArray[np.float32], *, normaliser: bool = True, offset: float = 0.0) -> onnx.ModelProto:
    """A critic whose projections are its inputs."""
    nodes = [
        helper.make_node("Identity", ["features"], ["local"]),
        helper.make_node("Einsum", ["local", "code"], ["mi_map"], equation="nuij,nu->nij"),
    ]
    outputs: dict[str, list[str | int | None]] = {
        "mi_map": ["N", SIDE, SIDE],
        "local": ["N", UNITS, SIDE, SIDE],
    }
    weights = []
    if normaliser:
        nodes += [
            helper.make_node("Einsum", ["local", "bank"], ["scores"], equation="nuij,bu->nijb"),
            helper.make_node("ReduceLogSumExp", ["scores", "last"], ["log_sum"], keepdims=0),
            helper.make_node("Sub", ["log_sum", "log_bank"], ["local_log_normaliser"]),
        ]
        outputs["local_log_normaliser"] = ["N", SIDE, SIDE]
        weights = [
            numpy_helper.from_array(bank, "bank"),
            numpy_helper.from_array(np.array([-1], np.int64), "last"),
            numpy_helper.from_array(np.array(math.log(len(bank)) - offset, np.float32), "log_bank"),
        ]
    graph = helper.make_graph(
        nodes,
        "critic",
        [
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", UNITS, SIDE, SIDE]),
            helper.make_tensor_value_info("code", TensorProto.FLOAT, ["N", UNITS]),
        ],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def run(model: onnx.ModelProto, features: NDArray[np.float32], *names: str) -> list[NDArray[np.float32]]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    code = np.zeros((len(features), UNITS), np.float32)
    return list(session.run(list(names), {"features": features, "code": code}))


def normal(seed: int, *shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_the_error_is_the_delta_method_s_and_other_outputs_stay() -> None:
    bank, features = normal(0, 50, UNITS), normal(1, 4, UNITS, SIDE, SIDE)
    model = critic(bank)
    extended = with_standard_error(model, len(bank))
    error, normaliser = run(extended, features, STANDARD_ERROR, "local_log_normaliser")
    weights = np.exp(np.einsum("nuij,bu->nijb", features, bank))
    expected = weights.std(axis=-1) / weights.mean(axis=-1) / math.sqrt(len(bank))
    np.testing.assert_allclose(error, expected, rtol=1e-4)
    np.testing.assert_array_equal(normaliser, run(model, features, "local_log_normaliser")[0])


def test_an_offset_of_the_normalisers_is_no_part_of_the_error() -> None:
    bank, features = normal(0, 50, UNITS), normal(1, 4, UNITS, SIDE, SIDE)
    (plain,) = run(with_standard_error(critic(bank), len(bank)), features, STANDARD_ERROR)
    moved = with_standard_error(critic(bank, offset=0.7), len(bank), 0.7)
    np.testing.assert_allclose(run(moved, features, STANDARD_ERROR)[0], plain, rtol=1e-4)


def test_other_banks_differ_by_as_much_as_the_error_says() -> None:
    features = normal(1, 1, UNITS, SIDE, SIDE)
    found = [
        run(
            with_standard_error(critic(normal(seed, 400, UNITS)), 400),
            features,
            "local_log_normaliser",
            STANDARD_ERROR,
        )
        for seed in range(200)
    ]
    spread = np.std([normaliser for normaliser, _ in found], axis=0)
    np.testing.assert_allclose(np.mean([error for _, error in found], axis=0), spread, rtol=0.25)


@pytest.mark.parametrize("normaliser", [True, False])
def test_a_critic_that_has_the_output_or_no_bank_is_left_alone(normaliser: bool) -> None:
    model = critic(normal(0, 5, UNITS), normaliser=normaliser)
    once = with_standard_error(model, 5)
    assert with_standard_error(once, 5) is once
    assert (once is model) == (not normaliser)
