"""The embedded PostgreSQL of another process: where its clients connect."""

from pathlib import Path

from service.index.libpq import forget_variables
from service.index.server import url_of

# Line of postmaster.pid with the folder of the server's socket.
_SOCKETS_LINE = 4


def running_url(folder: Path) -> str | None:
    """Return the URL of the server whose data folder is in use; None where it says none yet.

    The folder of its socket is closed to other users, so that only its owner and root get in.
    """
    try:
        lines = (folder.absolute() / "postgres" / "postmaster.pid").read_text().splitlines()
    except OSError:
        return None
    if len(lines) <= _SOCKETS_LINE or not lines[_SOCKETS_LINE].strip():
        return None
    forget_variables()
    return url_of(Path(lines[_SOCKETS_LINE].strip()))
