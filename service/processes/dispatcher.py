"""Dispatcher of connections: the parent accepts each and gives it to the ready worker that has the fewest.

Where workers share a listening socket, or have one SO_REUSEPORT socket each, the kernel deals connections out
by chance and for their whole life. Of two keep-alive connections, both land on one worker half of the time;
of a burst, the worker that wakes first takes all. Dealt out by count, two connections are two workers. A
worker is given no connection before it is warm, no connection waits behind a dead worker, and a load balancer
still gets an answer during a drain.
"""

import logging
import selectors
import socket
from collections.abc import Callable, Sequence
from time import monotonic

from service.processes.worker_process import WorkerProcess

logger = logging.getLogger(__name__)

_RETRY_SECONDS = 0.05
# For descriptors or memory to become free again.
_PAUSE_SECONDS = 1.0


class Dispatcher:
    """Accepts connections and hands them over, in the parent's selector loop."""

    def __init__(
        self,
        listener: socket.socket,
        selector: selectors.BaseSelector,
        candidates: Callable[[], Sequence[WorkerProcess]],
    ) -> None:
        """Accept nothing yet.

        Args:
            listener: the listening socket.
            selector: of the parent's loop; its callbacks are the data of its keys.
            candidates: workers that may be given a connection now, the best first.
        """
        listener.setblocking(False)
        self._listener = listener
        self._selector = selector
        self._candidates = candidates
        self._waiting: socket.socket | None = None
        self._paused_until = 0.0

    @property
    def retry_at(self) -> float | None:
        """Time of the next attempt, by `monotonic`; None where only an event leads to one."""
        if self._waiting is not None:
            return monotonic() + _RETRY_SECONDS
        return self._paused_until if self._paused_until > monotonic() else None

    def listen(self) -> None:
        """Accept connections where one can be given away now; else leave them to the kernel."""
        wanted = self._waiting is None and monotonic() >= self._paused_until and bool(self._candidates())
        listening = self._listener in self._selector.get_map()
        if wanted and not listening:
            self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        elif listening and not wanted:
            self._selector.unregister(self._listener)

    def retry(self) -> None:
        """Hand over the connection that waits."""
        if self._waiting is not None:
            self._hand_over(self._waiting)

    def close(self) -> None:
        """Close the connection that waits."""
        if self._waiting is not None:
            self._waiting.close()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, ConnectionError):
            return
        except OSError as error:
            # Out of descriptors or memory: the connection stays in the kernel's queue.
            logger.error("a connection cannot be accepted: %s", error)
            self._paused_until = monotonic() + _PAUSE_SECONDS
            return
        self._hand_over(connection)

    def _hand_over(self, connection: socket.socket) -> None:
        """Give a connection to a worker, or keep it until one has room."""
        for worker in self._candidates():
            if worker.channel.hand_over(connection):
                worker.handed += 1
                connection.close()
                self._waiting = None
                return
        self._waiting = connection
