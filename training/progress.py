"""Progress of a long job; the serving half shows its own in the same way."""

from contract.progress import Progress

__all__ = ["Progress"]
