"""What the settings ask for: API keys and their use, or neither."""

from service.quotas.api_keys import KeyRing
from service.quotas.usage_file import UsageFile
from service.settings import Settings


def keys_and_usage(settings: Settings) -> tuple[KeyRing, UsageFile] | None:
    """Open the keys and the file of their use that the settings ask for, if they ask for keys.

    Raises:
        KeyFileError: the file of keys cannot be used.
        SettingsError: there is no place for the file of their use.
    """
    if settings.api_keys_file is None:
        return None
    return KeyRing(settings.api_keys_file), UsageFile(settings.data_dir)
