"""Which model is found, and which are refused."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from contract import artefact
from contract.card import CARD_FILE, ModelCard, WeightsDigest
from contract.errors import ArtefactError
from service.inference.device_choice import DeviceChoice
from service.inference.locating import locate
from service.inference.model import Model, open_model
from tests.service.faults import settings
from tests.tiny_model import build_tiny_model, write_artefact

ON_CPU = DeviceChoice("cpu", on_gpu=False)


def test_the_newest_version_is_found_and_versions_are_numbers(tmp_path: Path) -> None:
    for version in ("2", "10", "9", "drafts"):
        (tmp_path / "tiny" / version).mkdir(parents=True)
    assert locate(tmp_path, "tiny") == tmp_path / "tiny" / "10"
    assert locate(tmp_path, "tiny/9") == tmp_path / "tiny" / "9"


def test_a_model_that_is_not_there_is_refused_with_what_is(tiny_models: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match=r"no model large; it holds tiny/1"):
        locate(tiny_models, "large")
    with pytest.raises(ArtefactError, match=r"no model tiny/7"):
        locate(tiny_models, "tiny/7")
    with pytest.raises(ArtefactError, match="it holds no model"):
        locate(tmp_path / "missing", "tiny")


def test_versions_of_a_model_are_told_apart(tmp_path: Path) -> None:
    build_tiny_model(tmp_path, version=1, seed=0)
    build_tiny_model(tmp_path, version=2, seed=1)
    one = open_model(settings(tmp_path, model="tiny/1"))
    two = open_model(settings(tmp_path))
    assert (one.card.id, two.card.id) == ("tiny/1", "tiny/2")
    images = np.full((1, 32, 32, 3), 99, np.uint8)
    assert (
        np.abs(one.encode(images, features=False).code - two.encode(images, features=False).code).max() > 0.01
    )


def test_codes_alone_give_the_projections_that_their_images_gave(tiny_models: Path) -> None:
    model = open_model(settings(tiny_models))
    images = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    encoded = model.encode(images, features=True)
    projections = model.criticise(encoded.features, encoded.code, projections=True).projections
    projected = model.project(encoded.code)
    np.testing.assert_allclose(projected, [one.global_ for one in projections], atol=1e-5)


@pytest.mark.parametrize("batch", [1, 2, 16])
def test_the_self_test_passes_in_every_batch(tiny_models: Path, batch: int) -> None:
    open_model(settings(tiny_models)).self_test(batch)


def test_golden_outputs_that_do_not_come_out_are_named(tiny_models: Path, tmp_path: Path) -> None:
    folder = copied(tiny_models, tmp_path)
    card = artefact.open_artefact(folder).card
    wrong = card.golden.model_copy(update={"code": (card.golden.code[0] + 1, *card.golden.code[1:])})
    rewrite(folder, card.model_copy(update={"golden": wrong}))
    with pytest.raises(ArtefactError, match=r"tiny/1 fails its self-test on CPU.*: code differs .* by 1 "):
        Model(artefact.open_artefact(folder), ON_CPU, 1).self_test()


def test_a_graph_with_a_fixed_batch_is_refused(tiny_models: Path, tmp_path: Path) -> None:
    folder = copied(tiny_models, tmp_path)
    encoder = onnx.load(folder / "encoder.onnx")
    for tensor in (*encoder.graph.input, *encoder.graph.output):
        tensor.type.tensor_type.shape.dim[0].dim_value = 4
    rewrite(folder, artefact.open_artefact(folder).card, encoder=encoder)
    with pytest.raises(ArtefactError, match=r"encoder input 'image'.*asks for uint8 \['N', 32, 32, 3\]"):
        Model(artefact.open_artefact(folder), ON_CPU, 1)


def test_a_graph_without_a_promised_output_is_refused(tiny_models: Path, tmp_path: Path) -> None:
    folder = copied(tiny_models, tmp_path)
    critic = onnx.load(folder / "critic.onnx")
    del critic.graph.output[2]
    rewrite(folder, artefact.open_artefact(folder).card, critic=critic)
    with pytest.raises(ArtefactError, match="critic output 'global' is missing"):
        Model(artefact.open_artefact(folder), ON_CPU, 1)


def test_a_critic_without_normaliser_needs_none(tiny_models: Path, tmp_path: Path) -> None:
    folder = copied(tiny_models, tmp_path)
    critic = onnx.load(folder / "critic.onnx")
    del critic.graph.output[3]
    rewrite(folder, artefact.open_artefact(folder).card, critic=critic)
    model = Model(artefact.open_artefact(folder), ON_CPU, 1)
    encoded = model.encode(np.zeros((2, 32, 32, 3), np.uint8), features=True)
    one, _ = model.criticise(encoded.features, encoded.code, projections=True).projections
    assert not one.local_log_normaliser.any()


def test_a_graph_that_onnx_runtime_cannot_run_is_refused(tiny_models: Path, tmp_path: Path) -> None:
    folder = copied(tiny_models, tmp_path)
    critic = onnx.load(folder / "critic.onnx")
    critic.graph.node[-1].op_type = "NoSuchOperator"
    rewrite(folder, artefact.open_artefact(folder).card, critic=critic)
    with pytest.raises(ArtefactError, match=r"cannot load .*critic\.onnx.*NoSuchOperator"):
        Model(artefact.open_artefact(folder), ON_CPU, 1)


def copied(models: Path, target: Path) -> Path:
    folder: Path = shutil.copytree(models / "tiny" / "1", target / "tiny" / "1")
    return folder


def rewrite(
    folder: Path,
    card: ModelCard,
    encoder: onnx.ModelProto | None = None,
    critic: onnx.ModelProto | None = None,
) -> None:
    """Write the folder again with another card or graph, its digests made right."""
    encoder = encoder or onnx.load(folder / "encoder.onnx")
    critic = critic or onnx.load(folder / "critic.onnx")
    weights = (
        WeightsDigest(file="encoder.onnx", sha256=artefact.weights_sha256(encoder)),
        WeightsDigest(file="critic.onnx", sha256=artefact.weights_sha256(critic)),
    )
    write_artefact(folder, card.model_copy(update={"weights": weights}), encoder, critic)
    assert (folder / CARD_FILE).is_file()
