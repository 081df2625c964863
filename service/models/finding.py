"""Model versions found and checked: which folder an entry means, and where it runs."""

import hashlib

from contract.artefact import open_artefact
from contract.card import ModelCard
from service.inference.gpu_options import GpuOptions
from service.inference.locating import locate
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
    return Version(entry, card.id, artefact.folder, digest(card), digest(card.as_exported), device)


def digest(card: ModelCard) -> str:
    """Return the SHA-256 of a card's text."""
    return hashlib.sha256(card.to_json().encode()).hexdigest()
