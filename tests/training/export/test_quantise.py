"""The encoder in 8 bits: smaller, close to the one it was made of, and its loss is measured."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from contract.artefact import open_artefact
from contract.card import INT8_ENCODER_FILE
from contract.precision import PrecisionLoss
from service.inference.device_choice import DeviceChoice
from service.inference.model import Model
from tests.tiny_int8 import int8_record
from tests.training.command import Answer, Infomax
from tests.training.export.test_export_command import export_command
from training.data import ImageSet
from training.errors import ExportError
from training.evaluation.frozen import FrozenEncoder, exported
from training.export import int8_encoder
from training.export.card_check import compare_int8
from training.export.inference_cost import BATCHES, measure_costs
from training.export.onnx_files import session_of
from training.export.precision_loss import check_loss, measure_loss
from training.export.quantise import quantise


@pytest.fixture(scope="module")
def fp32(exported_model: Path) -> onnx.ModelProto:
    return onnx.load(exported_model / "encoder.onnx")


@pytest.fixture(scope="module")
def int8(fp32: onnx.ModelProto, training: ImageSet) -> onnx.ModelProto:
    return quantise(fp32, training.pixels, seed=0)


def test_it_has_the_same_inputs_and_outputs_in_a_third_of_the_bytes(
    fp32: onnx.ModelProto, int8: onnx.ModelProto
) -> None:
    for side in ("input", "output"):
        assert [value.name for value in getattr(int8.graph, side)] == [
            value.name for value in getattr(fp32.graph, side)
        ]
    assert int8.ByteSize() < fp32.ByteSize() / 3


def test_embeddings_are_close_to_those_in_floats(
    fp32: onnx.ModelProto, int8: onnx.ModelProto, held_out: ImageSet
) -> None:
    one, other = (
        exported(session_of(model)).encode(held_out.pixels, ("embedding",))["embedding"]
        for model in (fp32, int8)
    )
    np.testing.assert_allclose(np.linalg.norm(other, axis=1), 1, atol=1e-5)
    cosines = (one * other).sum(axis=1)
    assert cosines.min() > 0.98
    # Not the same graph once more.
    assert cosines.max() < 1 - 1e-7


def test_no_two_products_overflow_the_16_bits_of_processors_without_vnni(int8: onnx.ModelProto) -> None:
    kernels = [
        onnx.numpy_helper.to_array(tensor)
        for tensor in int8.graph.initializer
        if tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) > 1
    ]
    # Two of three convolutions, and both products.
    assert len(kernels) == 4
    assert max(np.abs(kernel.astype(int)).max() for kernel in kernels) * 255 * 2 < 2**15


def test_pixels_are_normalised_and_first_convolved_in_floats(int8: onnx.ModelProto) -> None:
    made_by = {output: node for node in int8.graph.node for output in node.output}
    first = next(node for node in int8.graph.node if node.op_type == "Conv")
    assert made_by[first.input[0]].op_type == "Div"


def test_a_rectified_map_is_rounded_once_though_it_is_an_output(int8: onnx.ModelProto) -> None:
    made_by = {output: node.op_type for node in int8.graph.node for output in node.output}
    rectified = [made_by[node.input[0]] for node in int8.graph.node if node.op_type == "Relu"]
    # The first convolution's and the hidden vector's, which are floats.
    assert rectified == ["Conv", "Gemm"]


def test_a_limited_rectifier_is_rounded_with_the_convolution_before_it(
    fp32: onnx.ModelProto, training: ImageSet
) -> None:
    limited = onnx.ModelProto()
    limited.CopyFrom(fp32)
    for name, bound in (("least", 0.0), ("most", 6.0)):
        limited.graph.initializer.append(onnx.numpy_helper.from_array(np.array(bound, np.float32), name))
    rectifiers = [node for node in limited.graph.node if node.op_type == "Relu"]
    for node in rectifiers:
        node.op_type = "Clip"
        node.input.extend(["least", "most"])
    rounded = quantise(limited, training.pixels[:32], seed=0)
    left = [node for node in rounded.graph.node if node.op_type == "Clip" and "most" in node.input]
    # Behind the first convolution and behind a product, whose outputs stay in floats.
    assert len(left) == 2 < len(rectifiers)


def test_the_same_images_give_the_same_graph(fp32: onnx.ModelProto, training: ImageSet) -> None:
    few = training.pixels[:32]
    once, again, others = (
        quantise(fp32, pixels, seed=0).SerializeToString(deterministic=True)
        for pixels in (few, few.copy(), few[::-1] // 2)
    )
    assert once == again
    assert once != others


def test_the_quantiser_prints_nothing(
    fp32: onnx.ModelProto, training: ImageSet, capfd: pytest.CaptureFixture[str]
) -> None:
    quantise(fp32, training.pixels[:8], seed=0)
    assert capfd.readouterr() == ("", "")


def test_an_encoder_loses_nothing_against_itself(
    fp32: onnx.ModelProto, training: ImageSet, held_out: ImageSet
) -> None:
    encoder = exported(session_of(fp32))
    loss = measure_loss(encoder, encoder, training, held_out, split="some", seed=0)
    assert loss.points == 0
    assert loss.least_cosine == pytest.approx(1)
    assert 0 < loss.knn_fp32 < 1  # type: ignore[operator]


def test_an_encoder_that_answers_noise_loses_what_it_knew(training: ImageSet, held_out: ImageSet) -> None:
    """One that embeds an image as its class, and one that embeds it as nothing in particular."""
    assert training.labels is not None
    assert held_out.labels is not None
    known = {
        pixels.tobytes(): label
        for images in (training, held_out)
        for pixels, label in zip(images.pixels, images.labels, strict=True)  # type: ignore[arg-type]
    }
    rng = np.random.default_rng(0)
    right = FrozenEncoder(
        lambda pixels, _: [np.eye(10, dtype=np.float32)[[known[image.tobytes()] for image in pixels]]],
        ("embedding",),
    )
    noise = FrozenEncoder(
        lambda pixels, _: [rng.standard_normal((len(pixels), 10)).astype(np.float32)], ("embedding",)
    )
    loss = measure_loss(right, noise, training, held_out, split="some", seed=0)
    assert (loss.knn_fp32, loss.linear_fp32) == (1, 1)
    assert loss.points == pytest.approx(90, abs=15)
    assert abs(loss.mean_cosine) < 0.2


def test_without_labels_only_the_cosine_is_known(
    fp32: onnx.ModelProto, int8: onnx.ModelProto, training: ImageSet, held_out: ImageSet
) -> None:
    bare = replace(training, labels=None, class_names=())
    loss = measure_loss(
        exported(session_of(fp32)), exported(session_of(int8)), bare, held_out, split="some", seed=0
    )
    assert loss.points is None
    assert 0.98 < loss.mean_cosine < 1


def measured(cosine: float, *accuracies: float | None) -> PrecisionLoss:
    names = ("knn_fp32", "knn_int8", "linear_fp32", "linear_int8")
    return PrecisionLoss.model_validate(
        {"split": "s", "images": 1, "mean_cosine": cosine, "least_cosine": cosine}
        | dict(zip(names, accuracies, strict=False))
    )


def test_too_large_a_loss_is_refused_with_both_figures_and_a_remedy() -> None:
    check_loss(measured(0.9, 0.70, 0.69), 1)
    with pytest.raises(ExportError, match=r"loses 1\.50 points of accuracy, more than 1; .* --largest-loss"):
        check_loss(measured(1, 0.70, 0.70, 0.8, 0.785), 1)
    check_loss(measured(0.99), 0)
    with pytest.raises(ExportError, match=r"mean cosine of 0\.9800 .* less than 0\.99.*without labels"):
        check_loss(measured(0.98), 100)


def test_the_cost_is_of_every_batch_and_of_this_machine(fp32: onnx.ModelProto, held_out: ImageSet) -> None:
    costs = measure_costs({"fp32": fp32, "int8": fp32}, held_out.pixels[:3])
    assert set(costs) == {"fp32", "int8"}
    for cost in costs.values():
        assert [speed.batch for speed in cost.speeds] == list(BATCHES)
        assert (cost.provider, cost.threads) == ("CPUExecutionProvider", 1)
        assert cost.processor


def test_the_command_writes_both_encoders_what_the_second_loses_and_how_to_serve_them(
    infomax: Infomax, finished_run: Path, sample_train: Path, sample_test: Path, tmp_path: Path
) -> None:
    answer = export_command(
        infomax,
        finished_run,
        sample_train,
        sample_test,
        tmp_path,
        "--precision",
        "int8",
        "--largest-loss",
        "100",
    )
    assert answer.status == 0, answer.err
    assert answer.out.endswith(f"infomax serve --models-dir {tmp_path} --model sample\n")
    artefact = open_artefact(tmp_path / "sample" / "1")
    assert artefact.card.limits == ("One.", "Two.")
    record = artefact.card.int8
    assert record is not None
    assert f"mean cosine {record.loss.mean_cosine:.4f}" in answer.out
    assert artefact.card.schema_version == 2
    assert record.maps.mi_nats == pytest.approx(artefact.card.calibration.mi_nats, abs=0.2)
    assert record.maps.mi_nats != artefact.card.calibration.mi_nats
    text = (artefact.folder / "README.md").read_text()
    assert f"`{INT8_ENCODER_FILE}` is the same encoder in 8 bits" in text
    assert "| images in a batch | fp32 | int8 |" in text
    model = Model(artefact, DeviceChoice("cpu", on_gpu=False), 1, "int8")
    model.self_test()
    model.self_test(8)


def test_a_loss_that_is_not_allowed_ends_the_command_and_nothing_is_written(
    infomax: Infomax,
    finished_run: Path,
    sample_train: Path,
    sample_test: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(int8_encoder, "measure_loss", lambda *_, **__: measured(1, 0.5, 0.4))
    answer = export_command(infomax, finished_run, sample_train, sample_test, tmp_path, "--precision", "int8")
    assert "loses 10.00 points of accuracy, more than 1;" in answer.sentence
    assert not (tmp_path / "sample").exists()


@pytest.mark.parametrize(("option", "value"), [("--precision", "int4"), ("--largest-loss", "-1")])
def test_what_is_no_precision_and_no_loss_is_refused(
    infomax: Infomax, finished_run: Path, sample_train: Path, tmp_path: Path, option: str, value: str
) -> None:
    answer = export_command(infomax, finished_run, sample_train, sample_train, tmp_path, option, value)
    assert answer.status == 2
    assert option in answer.err
    assert not (tmp_path / "sample").exists()


def quantise_command(infomax: Infomax, model: Path, train: Path, held_out: Path, models: Path) -> Answer:
    """`infomax quantise` of version 2."""
    data = ("--train", train, "--held-out", held_out, "--held-out-name", "others")
    return infomax(
        "quantise", "--model", model, "--version", "2", *data, "--models", models, "--largest-loss", "100"
    )


def test_a_model_gets_its_int8_encoder_as_its_next_version(
    infomax: Infomax, exported_model: Path, sample_train: Path, sample_test: Path, tmp_path: Path
) -> None:
    before = {path.name: path.read_bytes() for path in exported_model.iterdir()}
    answer = quantise_command(infomax, exported_model, sample_train, sample_test, tmp_path)
    assert answer.status == 0, answer.err
    assert {path.name: path.read_bytes() for path in exported_model.iterdir()} == before
    old, new = open_artefact(exported_model).card, open_artefact(tmp_path / "sample" / "2").card
    assert (new.id, new.weights, new.golden, new.quality) == (
        "sample/2",
        old.weights,
        old.golden,
        old.quality,
    )
    assert new.int8 is not None
    assert (new.int8.loss.split, new.int8.maps.split) == ("others", "others")
    data = ("--train", sample_train, "--test", sample_test)
    answer = infomax("probe", "--model", tmp_path / "sample" / "2", *data)
    assert answer.status == 0, answer.out
    assert "int8 linear embedding" in answer.out


def test_a_card_that_makes_int8_better_than_it_is_does_not_agree(exported_model: Path) -> None:
    record = int8_record(open_artefact(exported_model).card)
    assert all(one.agrees for one in compare_int8(record, record.loss, record.maps))
    flattered = record.model_copy(update={"loss": record.loss.model_copy(update={"knn_int8": 1.0})})
    shown = [one.figure for one in compare_int8(flattered, record.loss, record.maps) if not one.agrees]
    assert shown == ["int8 knn embedding"]


def test_other_images_than_those_of_the_model_are_refused(
    infomax: Infomax, exported_model: Path, sample_train: Path, sample_test: Path, tmp_path: Path
) -> None:
    answer = quantise_command(infomax, exported_model, sample_test, sample_train, tmp_path)
    assert "sample/1 was trained on 300 images and these are 100; name the same" in answer.sentence
    answer = quantise_command(infomax, exported_model, sample_train, sample_train, tmp_path)
    assert "300 of the 300 held-out images are among the training images" in answer.sentence
    assert not (tmp_path / "sample").exists()
