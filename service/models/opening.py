"""Model versions found, checked and loaded: what loads ONNX Runtime."""

import hashlib

from contract.artefact import open_artefact
from contract.card import ModelCard
from contract.errors import ArtefactError
from service.inference.gpu_options import GpuOptions
from service.inference.locating import locate
from service.inference.model import Model
from service.inference.precision import choose
from service.inference.providers import choose_device
from service.models.version import Version
from service.settings import Settings


def find_version(settings: Settings, entry: str, model: str | None = None) -> Version:
    """Find and check the version that an entry of the settings means now, and decide where it runs.

    Args:
        settings: of the service.
        entry: of the settings, a name or name/version.
        model: name or name/version to take instead of the entry.

    Raises:
        ArtefactError: it is missing or breaks a rule of the contract.
        SettingsError: the demanded device does not work, or the model has no encoder of the demanded
            precision.
    """
    artefact = open_artefact(locate(settings.models_dir, model or entry))
    device = choose_device(settings.device, artefact.encoder, GpuOptions.of(settings))
    choose(settings.precision, artefact.card, on_gpu=device.on_gpu)
    card = artefact.card
    return Version(entry, card.id, artefact.folder, _digest(card), _digest(card.as_exported), device)


def open_version(version: Version, settings: Settings) -> Model:
    """Load a version that the parent has found, after checking that it is still the same.

    Raises:
        ArtefactError: its folder has changed since then, or ONNX Runtime refuses it.
        SettingsError: the GPU was demanded and the loaded graphs do not run on it.
    """
    artefact = open_artefact(version.folder)
    if _digest(artefact.card.as_exported) != version.exported_sha256:
        # A worker that replaces a dead one would answer with other weights than its peers.
        raise ArtefactError(
            f"{version.folder} was changed while it was served. Restart the service, and give every change a "
            "version of its own."
        )
    return Model(artefact, version.device, settings.threads_per_run, settings.precision)


def _digest(card: ModelCard) -> str:
    return hashlib.sha256(card.to_json().encode()).hexdigest()
