"""Content-Disposition of a form's part: the field's name and the file's (RFC 7578).

RFC 7578 forbids the extended form `filename*` of RFC 5987. .NET sends it beside a `filename` in a code of
e-mail, others alone. So it counts, and before the plain one.
"""

import re
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from python_multipart.multipart import parse_options_header

from service.inputs.names import text_of

DISPOSITION = b"content-disposition"
_TYPE = b"content-type"
_FILE_TYPES = (b"image/", b"application/octet-stream")
_QUOTED = re.compile(rb'"(?:[^"\\]|\\.)*"')
_EXTENDED = re.compile(rb";\s*(name|filename)\*\s*=\s*([\w!#$%&+^`{}~-]+)'[\w-]*'([^\s;]*)", re.IGNORECASE)
_CHARSETS = {b"utf-8": "utf-8", b"iso-8859-1": "latin-1"}


class Disposition:
    """What a part's headers say of it.

    Attributes:
        name: of the field; None where there is none.
        filename: empty where there is none.
        is_file: whether it has a file name, or says that it is an image or plain bytes.
    """

    def __init__(self, headers: Mapping[bytes, bytes]) -> None:
        """`headers` by their names in lower case."""
        value = headers.get(DISPOSITION, b"")
        _, options = parse_options_header(value)
        extended = _extended(value) if b"*" in value else {}
        plain = {name: text_of(options[name]) for name in (b"name", b"filename") if name in options}
        names = plain | extended
        self.name = names.get(b"name")
        self.filename = names.get(b"filename", "")
        self.is_file = b"filename" in names or headers.get(_TYPE, b"").lower().startswith(_FILE_TYPES)


def _extended(value: bytes) -> dict[bytes, str]:
    found: dict[bytes, str] = {}
    for name, charset, text in _EXTENDED.findall(_QUOTED.sub(b'""', value)):
        encoding = _CHARSETS.get(charset.lower())
        if encoding is not None:
            content = unquote_to_bytes(text)
            found[name.lower()] = text_of(content) if encoding == "utf-8" else content.decode(encoding)
    return found
