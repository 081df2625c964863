"""Equal rules have equal hashes, and any change shows."""

import pytest

from contract.preprocessing import Preprocessing

RULE = Preprocessing(height=32, width=32)


def test_the_hash_is_that_of_the_record() -> None:
    assert RULE.sha256 == Preprocessing.model_validate_json(RULE.model_dump_json()).sha256


@pytest.mark.parametrize(
    "change", [{"height": 33}, {"width": 64}, {"background": (0, 0, 0)}, {"draft_factor": 0}], ids=str
)
def test_every_field_changes_the_hash(change: dict[str, object]) -> None:
    assert RULE.model_copy(update=change).sha256 != RULE.sha256
