"""Equal rules have equal hashes, any change shows, and records of earlier versions stay as they are."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from contract.card import ModelCard
from contract.preprocessing import Preprocessing

RULE = Preprocessing(height=32, width=32)
# As it was written before there was a resize rule.
OLD = (
    '{"decoder":"pillow-1","height":32,"width":32,"fit":"stretch","resize_filter":"bilinear",'
    '"background":[255,255,255],"exif_orientation":true,"draft_factor":2}'
)
OLD_SHA256 = "4a8730681a2353f62c87ae2c6dbe1085e92177415163a74af69007085cc41c46"
NEW = (
    '{"decoder":"pillow-2","height":224,"width":160,"resize_rule":"letterbox","color_profile":"srgb",'
    '"resize_filter":"bilinear","background":[114,114,114],"exif_orientation":true,"draft_factor":2}'
)
MODELS = Path(__file__).parents[2] / "models"


def test_the_hash_is_that_of_the_record() -> None:
    assert RULE.sha256 == Preprocessing.model_validate_json(RULE.model_dump_json()).sha256


@pytest.mark.parametrize(
    "change",
    [
        {"height": 33},
        {"width": 64},
        {"background": (0, 0, 0)},
        {"draft_factor": 0},
        {"resize_rule": "letterbox"},
        {"color_profile": "srgb"},
    ],
    ids=str,
)
def test_every_field_changes_the_hash(change: dict[str, object]) -> None:
    assert Preprocessing.model_validate({"height": 32, "width": 32} | change).sha256 != RULE.sha256


def test_a_record_of_pillow_1_stays_as_it_is_to_the_byte() -> None:
    assert RULE.model_dump_json() == OLD
    assert Preprocessing.model_validate_json(OLD) == RULE
    assert RULE.sha256 == OLD_SHA256


def test_a_record_of_pillow_2_stays_as_it_is_to_the_byte() -> None:
    read = Preprocessing.model_validate_json(NEW)
    assert (read.resize_rule, read.color_profile) == ("letterbox", "srgb")
    assert read.model_dump_json() == NEW
    assert Preprocessing.model_validate(read.model_dump()) == read


def test_the_oldest_decoder_that_knows_the_rule_is_chosen() -> None:
    assert RULE.decoder == "pillow-1"
    plain = Preprocessing(height=32, width=32, resize_rule="stretch", color_profile="ignore")
    assert plain == RULE
    assert Preprocessing(height=32, width=32, resize_rule="center_crop").decoder == "pillow-2"
    assert Preprocessing(height=32, width=32, color_profile="srgb").decoder == "pillow-2"


@pytest.mark.parametrize(
    ("decoder", "fields", "rule"),
    [
        ("pillow-1", {"resize_rule": "letterbox"}, "a record of pillow-1 has no resize_rule"),
        ("pillow-1", {"color_profile": "ignore"}, "a record of pillow-1 has no color_profile"),
        ("pillow-1", {"fit": "cover"}, "fit is 'cover', and pillow-1 knows 'stretch' alone"),
        ("pillow-2", {"fit": "stretch"}, "Extra inputs are not permitted"),
        ("pillow-2", {"resize_rule": "cover"}, "Input should be 'stretch', 'center_crop' or 'letterbox'"),
        ("pillow-3", {}, "Input should be 'pillow-1' or 'pillow-2'"),
    ],
)
def test_a_field_of_another_decoder_is_refused(decoder: str, fields: dict[str, str], rule: str) -> None:
    with pytest.raises(ValidationError, match=rule):
        Preprocessing.model_validate({"decoder": decoder, "height": 32, "width": 32} | fields)


@pytest.mark.parametrize(
    "file", sorted(MODELS.glob("*/*/card.json")), ids=lambda file: "/".join(file.parts[-3:-1])
)
def test_every_shipped_card_is_written_as_it_was_read(file: Path) -> None:
    text = file.read_text()
    card = ModelCard.model_validate_json(text)
    assert card.to_json() == text
    assert card.preprocessing.sha256 == json.loads(text)["preprocessing_sha256"]
