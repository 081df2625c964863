"""Tuning of Python's cycle collector.

A worker's modules, schemas and sessions are some hundred thousand objects that live as long as it does. Every
full collection traverses them all while every thread waits. That made the slowest hundredth of requests four
times as slow (docs/decisions/020).
"""

import gc

# New objects between two collections. Python's default is 700, which is a few requests.
_YOUNG = 10_000


def postpone() -> None:
    """Collect nothing before `settle`: nearly all that a start makes stays."""
    gc.disable()


def settle() -> None:
    """Free unreachable objects, and exempt the others from later collections: nearly all of them stay.

    Call it when a worker is ready, and after something large was freed.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.enable()
    gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])
