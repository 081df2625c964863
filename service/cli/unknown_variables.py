"""Variables with the prefix of the settings that are not a setting."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from service.settings import PREFIX, Settings


def notes_on_unknown(environment: Mapping[str, str]) -> Iterator[str]:
    """Name each in a sentence, with the setting of the closest name.

    They are not refused: other programs, and Kubernetes, set variables of that prefix too.
    """
    known = [PREFIX + name.upper() for name in Settings.model_fields]
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in known:
            closest = get_close_matches(name, known, n=1, cutoff=0.85)
            hint = f"; did you mean {closest[0]}?" if closest else ""
            yield f"{name} is not a setting and has no effect{hint}"
