"""The page at `/`: its files are all served, and a browser that obeys its policy loads those and no other."""

import asyncio
import re
from collections import Counter
from pathlib import Path

import orjson

from docs.samples import PREFIX
from service.page import FILES
from tests.service.client import check_refusal, client

FOLDER = Path(__file__).parents[3] / "service" / "page"
_TYPES = {"jpg": "image/jpeg", "css": "text/css", "js": "text/javascript", "ndjson": "application/x-ndjson"}


def test_every_file_of_the_page_is_served_and_no_other(tiny_models: Path, index_url: str) -> None:
    assert {path.name for path in FOLDER.iterdir() if path.suffix != ".py" and path.is_file()} == {
        "index.html",
        *FILES,
    }

    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            page = await http.get("/")
            files = {name: await http.get(f"/page/{name}") for name in FILES}
            for name in ("index.html", "..%2Fapp.py", "page.py", ""):
                check_refusal(await http.get(f"/page/{name}"), 404, "no_such_route", f"/page/{name[:2]}")
        assert page.headers["content-type"].startswith("text/html")
        for name, answer in files.items():
            assert answer.headers["content-type"].startswith(_TYPES[name.rpartition(".")[2]]), name
            assert answer.content == (FOLDER / name).read_bytes()

    asyncio.run(scenario())


def test_the_page_loads_its_own_files_and_the_policy_lets_it(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            page = await http.get("/")
        allowed = dict(part.split(" ", 1) for part in page.headers["content-security-policy"].split("; "))
        assert allowed["default-src"] == allowed["frame-ancestors"] == "'none'"
        assert allowed["script-src"] == allowed["style-src"] == allowed["connect-src"] == "'self'"

    asyncio.run(scenario())
    html = (FOLDER / "index.html").read_text()
    assert not re.findall(r"<(?:script|style)(?![^>]*src)[^>]*>[^<]|\son\w+=|style=", html)
    loaded = re.findall(r'(?:src|href)="([^"]+)"', html)
    for path in FOLDER.glob("*.js"):
        # Of a module beside it, and of what is asked for from the page.
        loaded += [f"page/{name}" for name in re.findall(r'(?:from|import) "\./([^"]+)"', path.read_text())]
        loaded += re.findall(r'"(page/[^"]+)"', path.read_text())
    links = ("data:,", "docs", "https://en.wikipedia.org/wiki/Nat_(unit)")
    assert {path for path in loaded if path not in links} == {f"page/{name}" for name in FILES}
    # A link leads away from the page only where it is clicked, and tells nobody where from.
    assert re.findall(r'<a [^>]*href="http[^"]*"(?! rel="noreferrer")', html) == []


def test_the_samples_are_fifteen_of_each_class_and_can_be_stored(tiny_models: Path, index_url: str) -> None:
    samples = (FOLDER / "samples.ndjson").read_bytes()
    lines = [orjson.loads(line) for line in samples.splitlines()]
    classes = Counter(line["metadata"]["label"] for line in lines)
    assert len(classes) == 10
    assert set(classes.values()) == {15}
    assert f"Add {len(lines)} sample photographs" in (FOLDER / "index.html").read_text()

    assert all(line["id"].startswith(PREFIX) for line in lines)
    assert f'SAMPLES = "{PREFIX}"' in (FOLDER / "samples.js").read_text()
    assert len(samples) <= 1_200_000
    examples = {path.read_bytes() for path in FOLDER.glob("example-*.jpg")}
    assert len(examples) == len(classes)

    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            answer = await http.post(
                "/v1/items", content=samples, headers={"content-type": "application/x-ndjson"}
            )
        assert orjson.loads(answer.content.splitlines()[-1])["summary"]["ok"] == len(lines)

    asyncio.run(scenario())
