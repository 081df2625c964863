"""Channel statistics that an encoder's weights expect."""

from typing import NamedTuple

Channels = tuple[float, float, float]


class Statistics(NamedTuple):
    """Mean and deviation of each channel, on the scale 0..1."""

    mean: Channels
    std: Channels
