"""Exchange of one request and one reply."""

from http.client import HTTPConnection, HTTPException

_TIMEOUT_SECONDS = 30.0
_SHOWN = 200


class RefusedError(Exception):
    """A reply that is not an answer."""


def exchange(port: int, request: bytes) -> bytes:
    """Send a whole HTTP request to a local port; return the reply's body.

    Raises:
        RefusedError: the status is not 200, or the reply is not HTTP.
        OSError: no server listens, or it does not answer.
    """
    connection = HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.connect()
        connection.sock.sendall(request)
        reply = connection.response_class(connection.sock, method="POST")
        reply.begin()
        body = reply.read()
    except HTTPException as error:
        raise RefusedError(f"the reply is not HTTP ({error!r})") from error
    finally:
        connection.close()
    if reply.status != 200:
        raise RefusedError(f"it answered {reply.status}: {body[:_SHOWN]!r}")
    return body
