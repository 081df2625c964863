"""ONNX files as adopted encoders: cut to what is wanted, their geometry measured, refused in a sentence."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from contract.artefact import open_artefact
from service.inference.model import open_model
from service.settings import Settings
from tests.training.command import Answer, Infomax
from training.data import ImageSet
from training.errors import ExportError
from training.export.adoption.onnx_trunk import OnnxSource, onnx_trunk
from training.export.adoption.statistics import Statistics

SIZE, CHANNELS, CLASSES = 32, 12, 1000
STATISTICS = Statistics((0.5, 0.4, 0.3), (0.2, 0.25, 0.3))


def small_graph(
    *,
    batch: str | int = "n",
    side: str | int = SIZE,
    kind: int = TensorProto.FLOAT,
    channels_last: bool = False,
    opset: int = 17,
    constant: bool = False,
) -> onnx.ModelProto:
    """Two convolutions of 4 x 4 and 3 x 3 with strides 2, pooling and a classifier."""
    random = np.random.default_rng(0)
    weights = {
        "w1": random.normal(size=(CHANNELS, 3, 4, 4)) / 4,
        "w2": random.normal(size=(CHANNELS, CHANNELS, 3, 3)) / 6 * (not constant),
        "b2": np.full(CHANNELS, float(constant)),
        "w3": random.normal(size=(CHANNELS, CLASSES)),
    }
    images = "images"
    nodes = []
    if channels_last:
        nodes.append(helper.make_node("Transpose", [images], ["first"], perm=[0, 3, 1, 2]))
        images = "first"
    nodes += [
        helper.make_node("Conv", [images, "w1"], ["c1"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2", "b2"], ["c2"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c2"], ["map"]),
        helper.make_node("GlobalAveragePool", ["map"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["vector"]),
        helper.make_node("MatMul", ["vector", "w3"], ["logits"]),
    ]
    shape: list[str | int] = [batch, side, side, 3] if channels_last else [batch, 3, side, side]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("images", kind, shape)],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, CLASSES]),
            helper.make_tensor_value_info("map", TensorProto.FLOAT, [batch, CHANNELS, None, None]),
        ],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "small-net.onnx"
    onnx.save(small_graph(), path)
    return path


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("opset", [11, 17])
def test_it_computes_what_the_file_computes(
    tmp_path: Path, channels_last: bool, opset: int, held_out: ImageSet
) -> None:
    path = tmp_path / "net.onnx"
    foreign = small_graph(channels_last=channels_last, opset=opset, side="s")
    onnx.save(foreign, path)
    trunk = onnx_trunk(OnnxSource(path, "map", "vector"), STATISTICS, SIZE)
    pixels = held_out.pixels[:6]
    found = trunk.frozen.encode(pixels, ("features", "fc"))
    images = ((pixels / 255 - np.array(STATISTICS.mean)) / np.array(STATISTICS.std)).astype(np.float32)
    session = onnx.reference.ReferenceEvaluator(foreign)
    images = images if channels_last else images.transpose(0, 3, 1, 2)
    (found_map,) = list(session.run(["map"], {"images": images}))
    expected = np.asarray(found_map)
    assert np.abs(found["features"] - expected).max() < 1e-4
    assert np.abs(found["fc"] - expected.mean(axis=(2, 3))).max() < 1e-4
    # The classifier leads to neither.
    assert {tuple(each.dims) for each in trunk.model.graph.initializer}.isdisjoint({(CHANNELS, CLASSES)})


def test_the_geometry_of_its_map_is_measured(saved: Path) -> None:
    grid = onnx_trunk(OnnxSource(saved, "map"), STATISTICS, SIZE).patch_grid
    # 4 + 2 * 2 pixels; the first unit of either layer begins one of its own steps outside.
    assert (grid.rows, grid.columns, grid.stride, grid.receptive_field) == (8, 8, 4, 8)
    assert grid.first_centre == 1


def test_a_map_is_pooled_where_no_vector_is_named(saved: Path, held_out: ImageSet) -> None:
    pixels = held_out.pixels[:3]
    named = onnx_trunk(OnnxSource(saved, "map", "vector"), STATISTICS, SIZE).frozen.encode(pixels, ("fc",))
    pooled = onnx_trunk(OnnxSource(saved, "map"), STATISTICS, SIZE).frozen.encode(pixels, ("fc",))
    assert np.abs(named["fc"] - pooled["fc"]).max() < 1e-6


def adopt(infomax: Infomax, path: Path, data: Path, models: Path, *options: object) -> Answer:
    how = ("--onnx", path, "--size", SIZE, "--features", "map", "--data", data)
    return infomax("adopt", *how, "--name", "small", "--models", models, *options)


def test_the_command_makes_a_model_that_is_served(
    infomax: Infomax, saved: Path, sample_train: Path, tmp_path: Path, held_out: ImageSet
) -> None:
    answer = adopt(infomax, saved, sample_train, tmp_path, "--precision", "int8", "--largest-loss", "60")
    assert answer.status == 0, answer.err
    assert "--model small" in answer.out
    card = open_artefact(tmp_path / "small" / "1").card
    assert (card.encoder, card.opset, card.quality.images) == ("small-net", 17, 60)
    assert card.encoder_macs == CHANNELS * (16**2 * 3 * 16 + 8**2 * CHANNELS * 9 + CHANNELS)
    assert card.int8 is not None
    for precision in ("fp32", "int8"):
        settings = Settings(models_dir=tmp_path, model="small", device="cpu", precision=precision)
        model = open_model(settings)
        model.self_test()
        encoded = model.encode(held_out.pixels[:3], features=True)
        maps = model.criticise(encoded.features, encoded.code, projections=False).mi_map
        assert maps.shape == (3, 8, 8)


@pytest.mark.parametrize(
    ("changes", "features", "said"),
    [
        ({}, "norm", "The graph has no tensor 'norm'. Its outputs are logits, map"),
        ({}, "logits", "The tensor 'logits' of two images is [2, 1000], and a map"),
        ({"batch": 1}, "map", "Export it with a dynamic first axis"),
        ({"side": 64}, "map", "is ['?', 3, 64, 64]. Set --size to it, not to 32"),
        ({"kind": TensorProto.INT64}, "map", "The graph's input images is INT64"),
    ],
    ids=["no tensor", "no map", "batch", "size", "type"],
)
def test_what_does_not_fit_is_a_sentence(
    tmp_path: Path, changes: dict[str, object], features: str, said: str
) -> None:
    path = tmp_path / "net.onnx"
    onnx.save(small_graph(**changes), path)  # type: ignore[arg-type]
    with pytest.raises(ExportError) as caught:
        onnx_trunk(OnnxSource(path, features), STATISTICS, SIZE)
    assert said in str(caught.value)


def test_a_file_that_is_damaged_or_absent_is_named(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    with pytest.raises(ExportError, match="There is no file"):
        onnx_trunk(OnnxSource(path, "map"), STATISTICS, SIZE)
    path.write_bytes(b"no graph")
    with pytest.raises(ExportError, match="cannot be read as ONNX"):
        onnx_trunk(OnnxSource(path, "map"), STATISTICS, SIZE)


def test_a_trunk_that_tells_no_images_apart_is_refused(
    infomax: Infomax, sample_train: Path, tmp_path: Path
) -> None:
    path = tmp_path / "net.onnx"
    onnx.save(small_graph(constant=True), path)
    answer = adopt(infomax, path, sample_train, tmp_path / "models")
    assert "have an effective rank of 1.00" in answer.sentence
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(
    "options",
    [("--conv", "c2"), ("--factory", "package:function"), ("--weights", "w.pth")],
    ids=["conv", "factory", "weights"],
)
def test_a_file_and_a_module_are_a_wrong_call(
    infomax: Infomax, saved: Path, sample_train: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    answer = adopt(infomax, saved, sample_train, tmp_path, *options)
    assert answer.status == 2
    assert "--onnx takes --features and --vector, and no module" in " ".join(answer.err.split())
