"""What a worker process is made of."""

from pathlib import Path

from service.inference.peers import NO_PEERS
from service.processes.worker import peers_of
from service.processes.worker_start import WorkerArguments
from service.settings import Settings
from service.work_sharing.client import PeerClient
from service.work_sharing.load_table import TABLE, LoadTable


def test_a_worker_has_peers_unless_work_sharing_is_off(tmp_path: Path) -> None:
    LoadTable.create(tmp_path / TABLE, 2)
    on, off = (
        peers_of(WorkerArguments(Settings(work_sharing=sharing), (), "", tmp_path, workers=2), number=0)
        for sharing in (True, False)
    )
    assert isinstance(on, PeerClient)
    assert off is NO_PEERS
    on.close()
