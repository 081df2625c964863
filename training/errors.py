"""Expected failures of the offline half; each message is one sentence fit for a terminal."""

from contract.errors import InfomaxError


class RecipeError(InfomaxError):
    """A recipe is unreadable, has an unknown key or asks for something impossible."""


class TrainingError(InfomaxError):
    """A run cannot go on: no finite loss, no memory, no usable checkpoint."""


class ExportError(InfomaxError):
    """An export would not be what was trained, or its figures cannot be measured."""


class DataError(InfomaxError):
    """Images cannot be found, read or used for what was asked."""
