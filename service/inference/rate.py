"""Work done per second, measured."""

_HALF_LIFE = 1.0
# What was measured loses its weight when nothing more is: the images of now may be other ones.
_TRUSTED_SECONDS = 60.0


class Rate:
    """Images answered per second of full work, recent seconds counting more.

    Only time in which a whole batch was waiting counts: a service with little to do answers little, and
    that says nothing of what it could.
    """

    def __init__(self, first_guess: float) -> None:
        self._first_guess = first_guess
        self._items = first_guess
        self._seconds = 1.0
        self._since = 0.0

    @property
    def per_second(self) -> float:
        return self._items / self._seconds

    def pause(self, now: float) -> None:
        """The time up to now does not count; it brings the rate closer to the first guess."""
        weight = 0.5 ** ((now - self._since) / _TRUSTED_SECONDS)
        self._items = self._items * weight + self._first_guess * (1 - weight)
        self._seconds = self._seconds * weight + (1 - weight)
        self._since = now

    def add(self, items: float, now: float) -> None:
        """Images were answered since the last call of either method."""
        elapsed = now - self._since
        weight = 0.5 ** (elapsed / _HALF_LIFE)
        self._items = self._items * weight + items
        self._seconds = self._seconds * weight + elapsed
        self._since = now
