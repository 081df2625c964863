"""Owned folders: gone with their owner, or at the start of the next one with the same prefix."""

import signal
import subprocess
import sys
from pathlib import Path

from contract.owned_folder import OwnedFolder

KILLED = """
import os, signal, sys
from pathlib import Path
from contract.owned_folder import OwnedFolder
folder = OwnedFolder("infomax-one-", Path(sys.argv[1]))
(folder.path / "large").touch()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_owner_left_goes_at_the_next_start_of_its_kind(tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path], check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    with OwnedFolder("infomax-other-", tmp_path) as other:
        assert left.exists()
        with OwnedFolder("infomax-one-", tmp_path) as folder:
            assert not left.exists()
            assert {folder.path, other.path} == set(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())
