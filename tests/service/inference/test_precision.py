"""Choice of the precision, its report, and int8 answers close to those of fp32."""

import asyncio
from pathlib import Path

import numpy as np
import onnx
import pytest

from contract.artefact import open_artefact
from contract.card import INT8_ENCODER_FILE, ModelCard
from contract.errors import ArtefactError
from service.errors import SettingsError
from service.index.space import identity_of
from service.inference.device_choice import DeviceChoice
from service.inference.model import Model, open_model
from service.inference.precision import choose
from tests.service.client import client
from tests.service.faults import settings
from tests.tiny_int8 import build_tiny_int8
from tests.tiny_model import SIDE

ON_CPU = DeviceChoice("cpu", on_gpu=False)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a models folder whose `tiny/1` holds both encoders, which are equally good by its card."""
    folder = tmp_path_factory.mktemp("models")
    build_tiny_int8(folder)
    return folder


def card(models: Path) -> ModelCard:
    return open_artefact(models / "tiny" / "1").card


def losing(card: ModelCard, fp32: float | None, int8: float | None) -> ModelCard:
    """Change the accuracies in the card."""
    assert card.int8 is not None
    loss = card.int8.loss.model_copy(update={"knn_fp32": fp32, "knn_int8": int8})
    return card.model_copy(update={"int8": card.int8.model_copy(update={"loss": loss})})


def test_auto_takes_int8_where_the_card_says_that_it_is_as_good(models: Path) -> None:
    for fp32, int8 in ((0.7, 0.697), (0.7, 0.8)):
        choice = choose("auto", losing(card(models), fp32, int8), on_gpu=False)
        assert (choice.active, choice.why_not_int8) == ("int8", None)


def test_auto_takes_fp32_where_int8_loses_more_and_reports_it(models: Path) -> None:
    choice = choose("auto", losing(card(models), 0.7, 0.6969), on_gpu=False)
    assert choice.active == "fp32"
    assert choice.why_not_int8 == "By the card, int8 loses 0.31 points of accuracy, more than 0.3."


def test_auto_takes_fp32_where_the_loss_of_int8_is_unknown(models: Path) -> None:
    choice = choose("auto", losing(card(models), None, None), on_gpu=False)
    assert choice.active == "fp32"
    assert "images without labels" in str(choice.why_not_int8)


def test_auto_takes_fp32_on_a_gpu_and_where_there_is_no_other(models: Path, tiny_models: Path) -> None:
    assert choose("auto", card(models), on_gpu=True).active == "fp32"
    choice = choose("auto", card(tiny_models), on_gpu=False)
    assert (choice.active, choice.why_not_int8) == ("fp32", "The model has no int8 encoder.")


def test_the_requested_precision_is_taken_whatever_the_card_says(models: Path) -> None:
    bad = losing(card(models), 0.7, 0.1)
    assert choose("int8", bad, on_gpu=False).active == "int8"
    assert choose("int8", bad, on_gpu=True).active == "int8"
    good = choose("fp32", card(models), on_gpu=False)
    assert (good.active, good.why_not_int8) == ("fp32", None)


def test_a_missing_int8_encoder_stops_the_start_with_the_variable(tiny_models: Path) -> None:
    with pytest.raises(SettingsError, match="INFOMAX_PRECISION=int8 is set, but tiny/1 has no int8 encoder"):
        open_model(settings(tiny_models, precision="int8"))


def test_int8_passes_its_self_test_and_answers_nearly_what_fp32_answers(models: Path) -> None:
    images = np.random.default_rng(5).integers(0, 256, (16, SIDE, SIDE, 3), dtype=np.uint8)
    int8, fp32 = (open_model(settings(models, precision=precision)) for precision in ("int8", "fp32"))
    for model in (int8, fp32):
        model.self_test(1)
        model.self_test(16)
    near, exact = int8.encode(images, features=True), fp32.encode(images, features=True)
    cosines = (near.embedding * exact.embedding).sum(axis=1)
    assert 0.99 < cosines.min() <= cosines.max() < 1 - 1e-7
    maps = [
        model.criticise(encoded.features, encoded.code, projections=False).mi_map
        for model, encoded in ((int8, near), (fp32, exact))
    ]
    assert 0 < np.abs(maps[0] - maps[1]).mean() < 0.1


def test_int8_is_tested_against_golden_outputs_of_its_own(models: Path, tmp_path: Path) -> None:
    folder = build_tiny_int8(tmp_path)
    artefact = open_artefact(folder)
    assert artefact.card.int8 is not None
    golden = artefact.card.int8.golden
    wrong = golden.model_copy(update={"code": (golden.code[0] + 1, *golden.code[1:])})
    record = artefact.card.int8.model_copy(update={"golden": wrong})
    model = Model(artefact, ON_CPU, 1, "int8")
    model.card = artefact.card.model_copy(update={"int8": record})
    with pytest.raises(
        ArtefactError, match=r"self-test on CPU.*: code differs in int8 .* by 1 .*; 0\.05 is allowed"
    ):
        model.self_test()
    Model(artefact, ON_CPU, 1, "fp32").self_test()


def test_an_encoder_that_the_card_lists_has_to_be_there_unchanged(tmp_path: Path) -> None:
    file = build_tiny_int8(tmp_path) / INT8_ENCODER_FILE
    graph = onnx.load(file)
    graph.graph.node[-1].name = "another"
    onnx.save(graph, file)
    with pytest.raises(ArtefactError, match=rf"{INT8_ENCODER_FILE} .*changed after export"):
        open_artefact(file.parent)
    file.unlink()
    with pytest.raises(ArtefactError, match=rf"has no {INT8_ENCODER_FILE}, which its card lists"):
        open_artefact(file.parent)


def test_vectors_of_different_precisions_are_never_compared(models: Path) -> None:
    both = card(models)
    int8, fp32 = identity_of(both, "int8"), identity_of(both, "fp32")
    assert int8.encoder_sha256 != fp32.encoder_sha256
    assert (int8.model, int8.dimensions) == (fp32.model, fp32.dimensions)


def test_the_precision_is_shown_in_the_list_the_header_and_the_metrics(models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(models, index_url) as http:
            answer = await http.get("/v1/models/tiny")
            metrics = (await http.get("/metrics")).text
        execution = answer.json()["execution"]
        assert execution["precision"] == {"requested": "auto", "active": "int8", "why_not_int8": None}
        assert answer.json()["card"]["int8"]["weights"]["file"] == INT8_ENCODER_FILE
        assert answer.headers["x-execution-provider"].endswith("; precision=int8")
        assert 'infomax_precision_active{model="tiny",precision="int8"} 1.0' in metrics

    asyncio.run(scenario())


def test_each_precision_has_an_index_of_its_own(models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(models, index_url, precision="fp32") as http:
            vector = [1.0] + [0.0] * 19
            stored = await http.put("/v1/items/a", json={"vector": vector})
            assert stored.status_code == 200, stored.text
            assert (await http.get("/v1/items/a")).status_code == 200
        async with client(models, index_url, precision="int8") as http:
            assert (await http.get("/v1/items/a")).status_code == 404
        async with client(models, index_url, precision="fp32") as http:
            assert (await http.get("/v1/items/a")).status_code == 200

    asyncio.run(scenario())
