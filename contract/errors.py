"""The one base of every error that Infomax raises on purpose.

A message says what is wrong, with which value, and what to do. The command line, a problem+json body and a
report print it as it is.
"""


class InfomaxError(Exception):
    """An expected failure whose message is fit to show to a user as it is."""


class ArtefactError(InfomaxError):
    """A model folder, an ONNX file or a card breaks a rule of the contract."""


class ImageError(InfomaxError):
    """One image cannot be used.

    Attributes:
        code: stable, machine-readable reason, one of the codes in docs/errors.md.
        limit: the limit that was exceeded, where there is one, in the unit of the message.
    """

    def __init__(self, code: str, message: str, *, limit: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.limit = limit
