"""Model version, as the parent and its workers name it to each other."""

from dataclasses import dataclass
from pathlib import Path

from service.inference.device_choice import DeviceChoice
from service.settings import Settings
from service.system import gc_tuning
from service.system.child import in_child


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


def examine(settings: Settings, entry: str, model: str | None = None) -> Version:
    """Find and check a version as `find_version` does, in a child process.

    The parent loads no ONNX Runtime by it, and holds no GPU context.

    Raises:
        ArtefactError: it is missing or breaks a rule of the contract.
        SettingsError: the demanded device does not work, or the model has no encoder of the demanded
            precision.
    """
    return in_child(_find, settings, entry, model)


def examine_served(settings: Settings) -> tuple[Version, ...]:
    """Examine the models of the settings, all in one child process.

    Raises:
        ArtefactError, SettingsError: as `examine`, of the first that fails.
    """
    return in_child(_find_served, settings)


def _find_served(settings: Settings) -> tuple[Version, ...]:
    return tuple(_find(settings, entry, None) for entry in settings.served_models)


def _find(settings: Settings, entry: str, model: str | None) -> Version:
    gc_tuning.postpone()
    # In the child alone, which loads no more than it examines by.
    from service.models.finding import find_version

    return find_version(settings, entry, model)
