"""A change of the model under the real server: re-indexed beside it, switched at once."""

import os
import subprocess
import threading
from pathlib import Path

import httpx
import orjson

from tests.end_to_end.server import serving
from tests.pictures import photo
from tests.tiny_model import build_tiny_model
from tests.training.command import EXECUTABLE

COUNT = 30
JPEG = {"Content-Type": "image/jpeg"}


def command(data: Path, models: Path, *arguments: str) -> str:
    """Run `infomax ARGUMENTS` on the folder of the embedded index; return what it printed."""
    settings = {"INFOMAX_DATA_DIR": str(data), "INFOMAX_MODELS_DIR": str(models), "INFOMAX_DEVICE": "cpu"}
    done = subprocess.run(
        [EXECUTABLE, *arguments], env={**os.environ, **settings}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class Searcher(threading.Thread):
    """Client that searches by one image after the other.

    Attributes:
        models: version that answered each search.
        failures: answers that are not as they should be.
    """

    def __init__(self, url: str) -> None:
        super().__init__()
        self.models: list[str] = []
        self.failures: list[str] = []
        self.done = threading.Event()
        self.answered = threading.Event()
        self._url = url

    def run(self) -> None:
        try:
            self._search()
        finally:
            self.answered.set()

    def _search(self) -> None:
        with httpx.Client(base_url=self._url, timeout=60) as http:
            while not self.done.is_set():
                number = len(self.models) % COUNT
                answer = http.post("/v1/neighbours?k=5", content=photo(number), headers=JPEG)
                self.models.append(answer.headers.get("X-Model", ""))
                hits = answer.json().get("neighbours", [])
                if len(hits) != 5 or hits[0]["id"] != str(number) or hits[0]["score"] < 0.9999:
                    self.failures.append(answer.text)
                self.answered.set()


def test_searches_are_answered_in_full_before_during_and_after_the_switch(tmp_path: Path) -> None:
    models = tmp_path / "models"
    build_tiny_model(models)
    with serving(models, tmp_path / "run", originals="database", workers=2) as server:
        data = tmp_path / "run" / "data"
        with httpx.Client(base_url=server.url, timeout=60) as http:
            for number in range(COUNT):
                assert http.put(f"/v1/items/{number}", content=photo(number), headers=JPEG).is_success
        build_tiny_model(models, 2, seed=1)
        searcher = Searcher(server.url)
        searcher.start()
        searcher.answered.wait()
        try:
            said = command(data, models, "reindex", "--model", "tiny/2")
            assert said.startswith(f"{COUNT} images of space 1 (tiny/1, {COUNT} items) embedded by tiny/2")
            assert httpx.post(f"{server.url}/v1/models/tiny/load", timeout=120).is_success
            seen = len(searcher.models)
            while len(searcher.models) < seen + 3 and searcher.is_alive():
                searcher.answered.wait()
                searcher.answered.clear()
        finally:
            searcher.done.set()
            searcher.join()
        assert searcher.failures == []
        assert sorted(searcher.models) == searcher.models
        assert {searcher.models[0], searcher.models[-1]} == {"tiny/1", "tiny/2"}

        assert command(data, models, "index", "drop", "tiny/1", "--yes").startswith("Removed space 1")
        rows = [orjson.loads(line) for line in command(data, models, "index", "stats", "--json").splitlines()]
        assert [(row["model"], row["items"], row["originals"]) for row in rows] == [("tiny/2", COUNT, COUNT)]
        answer = httpx.post(f"{server.url}/v1/neighbours", content=photo(3), headers=JPEG)
        assert answer.json()["neighbours"][0]["id"] == "3"
