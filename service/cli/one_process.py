"""Settings of a command that computes in its own process."""

from service.settings import Settings
from service.system.cpu_count import usable_cores


def for_one_process(settings: Settings) -> Settings:
    """Adapt the settings to one process that has the machine to itself."""
    changes: dict[str, object] = {"workers": 1}
    if "threads_per_run" not in settings.model_fields_set:
        changes["threads_per_run"] = usable_cores()
    return settings.model_copy(update=changes)


def for_one_actor(settings: Settings) -> Settings:
    """Adapt the settings to one of several processes on a machine."""
    changes: dict[str, object] = {"workers": 1}
    if "decode_threads" not in settings.model_fields_set:
        changes["decode_threads"] = settings.threads_per_run
    return settings.model_copy(update=changes)
