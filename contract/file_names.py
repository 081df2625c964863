"""Body that is the name of a file, where the file itself was meant: curl sends it where `@` is forgotten."""

import re

REMEDY = "with curl, write @ before it"

_LONGEST = 255
_ENDINGS = rb"jpe?g|png|webp|bmp|gif|tiff?|avif|hei[cf]|tar|zip|ndjson|jsonl?|arrows?|txt|t?gz"
_NAME = re.compile(rb"[^\x00-\x1f]+\.(?:" + _ENDINGS + rb")[\r\n]*", re.IGNORECASE)
# Text that JSON or a line of NDJSON begins with is a value that breaks off, and no name.
_VALUES = b'{["'


def is_file_name(body: bytes) -> bool:
    """Tell whether a whole body is one name of an image, an archive, a table or a JSON file."""
    return len(body) <= _LONGEST and body[:1] not in _VALUES and bool(_NAME.fullmatch(body))
