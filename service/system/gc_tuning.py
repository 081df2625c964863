"""What Python's cycle collector looks through.

A worker's modules, schemas and sessions are some hundreds of thousands of objects that live as long as it
does. To look through them all, time and again and with every thread waiting, made the slowest hundredth of
requests four times as slow (docs/decisions/020).
"""

import gc

# New objects between two collections; Python's own is 700, which is a few requests.
_YOUNG = 10_000


def settle() -> None:
    """Free what nobody reaches, and look no more through what is left: nearly all of it is here to stay.

    To be called when a worker is ready, and when something large was let go.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])
