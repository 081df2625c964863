"""Model versions loaded: what a worker does with a version that the parent has found."""

from contract.artefact import open_artefact
from contract.errors import ArtefactError
from service.inference.model import Model
from service.models.finding import digest
from service.models.version import Version
from service.settings import Settings


def open_version(version: Version, settings: Settings) -> Model:
    """Load a version that the parent has found, after checking that it is still the same.

    Raises:
        ArtefactError: its folder has changed since then, or ONNX Runtime refuses it.
        SettingsError: the GPU was demanded and the loaded graphs do not run on it.
    """
    artefact = open_artefact(version.folder)
    if digest(artefact.card.as_exported) != version.exported_sha256:
        # A worker that replaces a dead one would answer with other weights than its peers.
        raise ArtefactError(
            f"{version.folder} was changed while it was served. Restart the service, and give every change a "
            "version of its own."
        )
    return Model(artefact, version.device, settings.threads_per_run, settings.precision)
