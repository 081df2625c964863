"""Objects that the cycle collector traverses, and those that it is spared."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from service.system import gc_tuning


class Part:
    """Object that refers to itself, so that only the collector can free it."""

    def __init__(self) -> None:
        self.whole = self


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """Restore the collector's state."""
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.enable()
    gc.set_threshold(*thresholds)


def test_objects_that_stay_are_traversed_no_more() -> None:
    kept = Part()
    gc_tuning.settle()
    assert not any(kept is one for one in gc.get_objects())
    assert gc.get_freeze_count() > 10_000


def test_an_object_that_became_unreachable_is_freed_by_the_next_settling() -> None:
    part = Part()
    ended = weakref.ref(part)
    gc_tuning.settle()
    del part
    gc.collect()
    assert ended() is not None
    gc_tuning.settle()
    assert ended() is None


def test_nothing_is_collected_before_a_start_has_settled() -> None:
    gc_tuning.postpone()
    assert not gc.isenabled()
    gc_tuning.settle()
    assert gc.isenabled()
