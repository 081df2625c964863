"""Model version, found by the parent and loaded by every worker."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from contract.artefact import open_artefact
from contract.card import ModelCard
from contract.errors import ArtefactError
from service.inference.gpu_options import GpuOptions
from service.inference.model import Model, locate
from service.inference.precision import choose
from service.inference.providers import DeviceChoice, choose_device_in_child
from service.settings import Settings


@dataclass(frozen=True)
class Version:
    """Checked model folder, and where it runs; sent between processes.

    Attributes:
        entry: the entry of the settings that it serves, a name or name/version.
        id: `name/version` by its card.
        folder: its model folder.
        card_sha256: digest of its card, which names the digests of its graphs.
        exported_sha256: the same without measures that `infomax validate-maps` states later.
        device: where it runs.
    """

    entry: str
    id: str
    folder: Path
    card_sha256: str
    exported_sha256: str
    device: DeviceChoice


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
    device = choose_device_in_child(settings.device, artefact.encoder, GpuOptions.of(settings))
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
