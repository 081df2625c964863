"""Listening sockets of the service, and what else answers where one cannot be had."""

import errno
import http.client
import os
import socket
from contextlib import closing

from service.errors import SettingsError

_BACKLOG = 2048
_ANSWER_SECONDS = 2.0
# The head of the page's document, which needs no API key.
_PAGE_MARK = b"<title>Infomax</title>"
_MOST_BYTES = 4096


class PortInUseError(SettingsError):
    """A port that another process listens on.

    Attributes:
        infomax: URL of an Infomax service that answers there; empty for another program.
    """

    def __init__(self, message: str, infomax: str = "") -> None:
        super().__init__(message)
        self.infomax = infomax


def listen(host: str, port: int, variable: str) -> socket.socket:
    """Listen on an address.

    Args:
        host: name or address of this machine.
        port: 0 for any free one.
        variable: the setting of the port, without its prefix.

    Raises:
        PortInUseError: another process listens there.
        SettingsError: the machine does not have the address, or the account may not listen on it.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server(
            (host, port),
            family=family,
            backlog=_BACKLOG,
            dualstack_ipv6=host == "::" and socket.has_dualstack_ipv6(),
        )
    except (socket.gaierror, UnicodeError) as error:
        # A name that cannot be encoded is a UnicodeError.
        reason = getattr(error, "strerror", None) or str(error)
        raise SettingsError(
            f"INFOMAX_HOST={host} is not an address of this machine ({reason}). Set one that it has."
        ) from error
    except OSError as error:
        # Python adds the address to the system's words.
        reason = os.strerror(error.errno) if error.errno else str(error)
        refused = f"INFOMAX_HOST={host} with INFOMAX_{variable}={port} cannot be listened on ({reason})."
        if error.errno != errno.EADDRINUSE:
            raise SettingsError(
                f"{refused} Stop the program that uses the port, or set another one."
            ) from error
        url = url_at(host, port)
        if infomax_answers(host, port):
            raise PortInUseError(
                f"{refused} An Infomax service answers on {url}: use it, stop it, or set another port.", url
            ) from error
        raise PortInUseError(f"{refused} Stop the program that uses the port, or set another one.") from error


def url_at(host: str, port: int) -> str:
    """Return the URL by which a client on this machine reaches a service that listens so."""
    here = _reached(host)
    return f"http://[{here}]:{port}" if ":" in here else f"http://{here}:{port}"


def infomax_answers(host: str, port: int) -> bool:
    """Whether what listens on this machine's port is an Infomax service: its page says so."""
    with closing(http.client.HTTPConnection(_reached(host), port, timeout=_ANSWER_SECONDS)) as connection:
        try:
            connection.request("GET", "/")
            return _PAGE_MARK in connection.getresponse().read(_MOST_BYTES)
        except (OSError, http.client.HTTPException):
            return False


def _reached(host: str) -> str:
    return {"0.0.0.0": "localhost", "::": "localhost"}.get(host, host)  # noqa: S104
