"""Every address that a process and its children turn to, C libraries included."""

import ipaddress
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import pytest

# Of the calls that name where data goes.
_CALLS = "connect,sendto,sendmsg,sendmmsg"
_ADDRESS = re.compile(r'sin6?_port=htons\((\d+)\).*?"([0-9a-f:.]+)"')
_DNS_PORT = 53


class Watched:
    """A command whose network calls are written down.

    Attributes:
        command: what to run in place of the command.
    """

    def __init__(self, command: Sequence[str], trace: Path) -> None:
        """Skips the test where no process can be watched."""
        if not _can_watch():
            pytest.skip("strace is not installed, or may not trace here")
        self._trace = trace
        strace = ["strace", "-f", "-q", "--seccomp-bpf", "-e", f"trace={_CALLS}", "-e", "signal=none"]
        self.command = [*strace, "-o", str(trace), *command]

    def strangers(self) -> set[str]:
        """Addresses beyond this machine, and name servers wherever they are."""
        found = _ADDRESS.findall(self._trace.read_text())
        return {
            f"{address}:{port}"
            for port, address in found
            if int(port) == _DNS_PORT or not ipaddress.ip_address(address).is_loopback
        }


def files_under(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def at_home(home: Path, **variables: str) -> Mapping[str, str]:
    """An environment whose user has never run anything."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR", "PYTHONPATH") if name in os.environ}
    return kept | {"HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1", **variables}


@cache
def _can_watch() -> bool:
    command = [
        "strace",
        "-f",
        "--seccomp-bpf",
        "-e",
        "trace=connect",
        "-o",
        os.devnull,
        sys.executable,
        "-c",
        "",
    ]
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False
