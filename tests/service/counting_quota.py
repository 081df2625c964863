"""A quota that shows what calls are charged."""

from service.inference.results import Priority


class CountingQuota:
    """Quota without a limit that counts what it is charged."""

    def __init__(self) -> None:
        self.charged = 0

    def charge(self, images: int, priority: Priority) -> float:  # noqa: ARG002
        self.charged += images
        return 0.0

    def give_back(self, images: int) -> None:
        self.charged -= images
