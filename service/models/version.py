"""A model version as the parent finds it and as every worker has to load it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from contract.artefact import open_artefact
from contract.card import ModelCard
from contract.errors import ArtefactError
from service.inference.gpu_options import GpuOptions
from service.inference.model import Model, locate
from service.inference.precision import choose
from service.inference.providers import Placement, place_in_child
from service.settings import Settings


@dataclass(frozen=True)
class Version:
    """A checked model folder, and where it runs; travels between processes.

    Attributes:
        entry: the entry of the settings that it stands for, a name or name/version.
        id: `name/version` as its card says.
        folder: where it lies.
        card_sha256: digest of its card, which names the digests of its graphs.
        placement: where it runs.
    """

    entry: str
    id: str
    folder: Path
    card_sha256: str
    placement: Placement


def find_version(settings: Settings, entry: str, model: str | None = None) -> Version:
    """Look for what an entry of the settings means now, check it, and see where it runs.

    Args:
        settings: of the service.
        entry: of the settings, a name or name/version.
        model: what to take instead of what the entry says.

    Raises:
        ArtefactError: it is missing or breaks a rule of the contract.
        SettingsError: the device that was asked for does not work, or the model has no encoder of the
            precision that was.
    """
    artefact = open_artefact(locate(settings.models_dir, model or entry))
    placement = place_in_child(settings.device, artefact.encoder, GpuOptions.of(settings))
    choose(settings.precision, artefact.card, on_gpu=placement.on_gpu)
    return Version(entry, artefact.card.id, artefact.folder, _digest(artefact.card), placement)


def open_version(version: Version, settings: Settings) -> Model:
    """Load a version that the parent has found.

    Raises:
        ArtefactError: its folder is not what it was then, or ONNX Runtime refuses it.
        SettingsError: the GPU was demanded and the loaded graphs do not run on it.
    """
    artefact = open_artefact(version.folder)
    if _digest(artefact.card) != version.card_sha256:
        # A worker that replaces a dead one would answer with other weights than its neighbours.
        raise ArtefactError(
            f"{version.folder} was changed while it is served; restart the service, and give every change a "
            "version of its own."
        )
    return Model(artefact, version.placement, settings.threads_per_run, settings.precision)


def _digest(card: ModelCard) -> str:
    return hashlib.sha256(card.to_json().encode()).hexdigest()
