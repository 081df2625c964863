"""What the cycle collector looks through."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from service.system import gc_tuning


class Part:
    """Something that knows itself, so that only the collector can free it."""

    def __init__(self) -> None:
        self.whole = self


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """As it was."""
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


def test_what_is_here_to_stay_is_looked_through_no_more() -> None:
    kept = Part()
    gc_tuning.settle()
    assert not any(kept is one for one in gc.get_objects())
    assert gc.get_freeze_count() > 10_000


def test_what_was_kept_and_is_let_go_is_freed_the_next_time() -> None:
    part = Part()
    ended = weakref.ref(part)
    gc_tuning.settle()
    del part
    gc.collect()
    assert ended() is not None
    gc_tuning.settle()
    assert ended() is None
