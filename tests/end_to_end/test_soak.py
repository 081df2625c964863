"""The short form of `make soak`: no surprise, and counts that add up. Memory needs the long one."""

import asyncio
from pathlib import Path

from bench.soak import SETTINGS, Soak, pictures, settle
from contract.artefact import open_artefact
from tests.end_to_end.server import serving

DEEDS = 45


def test_random_clients_see_what_they_should_and_are_counted(tiny_models: Path, tmp_path: Path) -> None:
    rule = open_artefact(tiny_models / "tiny" / "1").card.preprocessing
    deeds = iter(range(DEEDS))
    with serving(tiny_models, tmp_path, workers=2, **SETTINGS) as server:
        soak = Soak(server.url, "tiny", pictures(rule, seed=1, count=60), seed=1)
        found = asyncio.run(soak.run(lambda: next(deeds, None) is not None))
        assert found.surprises == []
        settle(server, found)
        assert "Traceback" not in server.log
