"""Signals that stop the service, and the one that reloads its versions."""

import os
import signal

import pytest

from service.system import signals
from service.system.signals import Signals, StopRequested


def test_stops_and_reloads_are_counted_apart() -> None:
    with Signals() as received:
        received.wait_for_them()
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            os.kill(os.getpid(), number)
        assert (received.stops, received.reloads) == (2, 2)


def test_a_stop_ends_the_start_and_a_reload_waits_for_its_end() -> None:
    with Signals() as received:
        os.kill(os.getpid(), signal.SIGHUP)
        assert received.reloads == 1
        with pytest.raises(StopRequested):
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_closed_terminal_stops_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "_has_terminal", lambda: True)
    with Signals() as received:
        received.wait_for_them()
        os.kill(os.getpid(), signal.SIGHUP)
        assert (received.stops, received.reloads) == (0, 1)
        monkeypatch.setattr(signals, "_has_terminal", lambda: False)
        os.kill(os.getpid(), signal.SIGHUP)
        assert (received.stops, received.reloads) == (1, 1)
