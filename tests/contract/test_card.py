"""Every schema of the card: as it was, with costs and precisions, with another decoder."""

import math
from pathlib import Path

import pytest
from pydantic import ValidationError

from contract.card import INT8_ENCODER_FILE, Calibration, ModelCard
from contract.map_kinds import MapKind
from contract.precision import InferenceCost, Precision, PrecisionLoss
from contract.preprocessing import Preprocessing
from tests.measured_maps import map_measures
from tests.tiny_int8 import COST, int8_record

OLD = Path(__file__).parent / "cards" / "schema_1.json"


@pytest.fixture(scope="module")
def first() -> ModelCard:
    """The card of a model that was shipped once, of schema 1."""
    return ModelCard.model_validate_json(OLD.read_text())


def second(first: ModelCard, **changes: object) -> ModelCard:
    """The same of schema 2."""
    return ModelCard.model_validate(
        first.model_dump() | {"schema_version": 2, "inference": COST.model_dump()} | changes
    )


def test_a_card_of_schema_1_is_written_as_it_was_read(first: ModelCard) -> None:
    assert first.to_json() == OLD.read_text()
    assert {"inference", "int8"}.isdisjoint(first.model_dump(mode="json"))


def test_a_card_of_schema_2_is_written_as_it_was_read(first: ModelCard) -> None:
    for int8 in (None, int8_record(first).model_dump()):
        card = second(first, int8=int8)
        assert ModelCard.model_validate_json(card.to_json()) == card
        assert ModelCard.model_validate_json(card.to_json()).to_json() == card.to_json()


@pytest.mark.parametrize(
    ("version", "inference", "rule"),
    [(1, COST.model_dump(), "a card of schema 1 has no inference"), (2, None, "states its inference cost")],
)
def test_a_card_holds_what_its_schema_asks_for(
    first: ModelCard, version: int, inference: object, rule: str
) -> None:
    with pytest.raises(ValidationError, match=rule):
        second(first, schema_version=version, inference=inference)


@pytest.mark.parametrize(
    ("part", "value", "rule"),
    [
        ("weights", {"file": "encoder.onnx", "sha256": "0" * 64}, f"must name {INT8_ENCODER_FILE}"),
        ("golden", None, "golden"),
        ("calibration_images", 0, "calibration_images"),
    ],
)
def test_an_int8_record_that_breaks_a_rule_is_refused(
    first: ModelCard, part: str, value: object, rule: str
) -> None:
    with pytest.raises(ValidationError, match=rule):
        second(first, int8=int8_record(first).model_dump() | {part: value})


def test_golden_outputs_of_another_size_are_refused(first: ModelCard) -> None:
    record = int8_record(first).model_dump()
    record["golden"]["embedding"] = (1.0,)
    with pytest.raises(ValidationError, match="sizes stated in shapes"):
        second(first, int8=record)


def test_each_precision_has_weights_and_golden_outputs_of_its_own(first: ModelCard) -> None:
    record = int8_record(first)
    card = second(first, int8=record.model_dump())
    assert card.encoder_sha256("int8") == record.weights.sha256 != card.encoder_sha256("fp32")
    assert (card.golden_of("int8"), card.golden_of("fp32")) == (record.golden, first.golden)
    assert [digest.file for digest in card.digests][2:] == [INT8_ENCODER_FILE]
    with pytest.raises(LookupError, match="cifar10/1 has no int8 encoder"):
        first.encoder_sha256("int8")


def loss(**accuracies: float) -> PrecisionLoss:
    return PrecisionLoss(split="some", images=10, mean_cosine=1, least_cosine=1, **accuracies)


def test_the_loss_is_that_of_the_classifier_that_loses_more() -> None:
    both = loss(knn_fp32=0.7, knn_int8=0.71, linear_fp32=0.803, linear_int8=0.8)
    assert both.points == 0.3
    assert loss(knn_fp32=0.7, knn_int8=0.71).points == -1
    assert loss().points is None


def test_a_cost_without_a_speed_is_none() -> None:
    with pytest.raises(ValidationError, match="speeds"):
        InferenceCost.model_validate(COST.model_dump() | {"speeds": ()})


def test_measures_of_maps_are_in_the_card_and_not_in_what_was_exported(first: ModelCard) -> None:
    attribution, reliability = map_measures()
    for exported in (first, second(first), second(first, int8=int8_record(first).model_dump())):
        card = exported.measured("fp32", attribution, reliability)
        assert ModelCard.model_validate_json(card.to_json()) == card
        assert card.as_exported == exported
        assert card.as_exported.to_json() == exported.to_json()
        measure = card.measure_of(MapKind.INFORMATION, "int8")
        assert measure is not None
        assert (measure.precision, measure.reliability) == ("fp32", reliability)
        assert exported.measure_of(MapKind.INFORMATION, "fp32") is None
    both = card.measured("int8", attribution, None)
    assert both.as_exported == exported
    assert ModelCard.model_validate_json(both.to_json()) == both
    precisions: tuple[Precision, ...] = ("fp32", "int8")
    for precision in precisions:
        measure = both.measure_of(MapKind.INFORMATION, precision)
        assert measure is not None
        assert measure.precision == precision
        assert (measure.reliability is None) == (precision == "int8")
    with pytest.raises(LookupError, match="no int8 encoder"):
        first.measured("int8", attribution, reliability)


def test_each_kind_has_its_own_measure(first: ModelCard) -> None:
    card = first.measured("fp32", *map_measures())
    information, contribution, contrast = (card.measure_of(kind, "fp32") for kind in MapKind)
    assert information is not None
    assert contribution is not None
    assert contrast is not None
    assert (information.picks_half, contribution.picks_half, contrast.picks_half) == (0.98, None, 0.99)
    assert contribution.attribution is not None
    assert contribution.attribution.pointing == {"photo": 0.86}
    assert contrast.attribution is None
    assert (contribution.reliability, contrast.reliability) == (None, None)


def test_a_scaled_map_has_its_ceiling_where_the_bank_ends_and_cards_without_a_scaling_stay(
    first: ModelCard,
) -> None:
    plain = first.calibration
    scaled = plain.model_copy(update={"temperature": 1.5, "offset_nats": 0.5})
    assert scaled.ceiling_nats == pytest.approx(math.log(plain.bank) - 0.5)
    assert plain.ceiling_nats == pytest.approx(math.log(plain.bank))
    assert not {"temperature", "offset_nats"} & set(plain.model_dump())
    assert Calibration.model_validate(scaled.model_dump()) == scaled


def test_another_decoder_needs_schema_3(first: ModelCard) -> None:
    rule = Preprocessing(height=32, width=32, resize_rule="center_crop", color_profile="srgb")
    changes = {"preprocessing": rule.model_dump(), "preprocessing_sha256": rule.sha256}
    card = second(first, schema_version=3, **changes)
    assert ModelCard.model_validate_json(card.to_json()) == card
    with pytest.raises(ValidationError, match="a card of schema 2 is decoded by pillow-1, not by pillow-2"):
        second(first, **changes)
