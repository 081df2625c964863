"""Every query of the dashboard and of the alerts, asked of a real Prometheus that scraped a real run."""

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.end_to_end.server import ROOT, Server, serving, wait_for
from tests.pictures import photo

pytestmark = pytest.mark.skipif(shutil.which("prometheus") is None, reason="no Prometheus on this machine")

# What a healthy run on a CPU has no values of.
EMPTY = {
    'status=~"5.."',
    "infomax_rejections_total",
    "infomax_cancelled_items_total",
    "infomax_thread_deaths_total",
    "infomax_index_recall_true_total",
    "infomax_index_recall_found_total",
    # The tiny model has no fitted axes.
    "infomax_training_distance_ratio_bucket",
}
SCRAPES = 3


@pytest.fixture(scope="module")
def prometheus(
    tiny_models: Path, module_index: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Address of a Prometheus that has scraped a service after it was used."""
    folder = tmp_path_factory.mktemp("prometheus")
    with serving(tiny_models, folder / "service", workers=1, database_url=module_index) as server:
        assert httpx.post(f"{server.url}/v1/embeddings", content=photo()[:-300]).status_code == 422
        target = server.url.removeprefix("http://")
        scrape = {"job_name": "infomax", "static_configs": [{"targets": [target]}]}
        config = {"global": {"scrape_interval": "1s"}, "scrape_configs": [scrape]}
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        with socket.create_server(("127.0.0.1", 0)) as free:
            address = f"127.0.0.1:{free.getsockname()[1]}"
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address={address}",
                ],
                stdout=log,
                stderr=log,
            )
        try:
            url = f"http://{address}"
            wait_for(lambda: scraped(url, server), server)
            yield url
        finally:
            process.terminate()
            process.wait(30)


def use(server: Server) -> None:
    """Ask for something of everything."""
    headers = {"Content-Type": "image/jpeg"}
    for number in range(4):
        image = photo(number)
        httpx.put(f"{server.url}/v1/items/{number}", content=image, headers=headers).raise_for_status()
        for path in ("embeddings", "mi-maps", "neighbours", "batch"):
            httpx.post(f"{server.url}/v1/{path}", content=image, headers=headers)


def scraped(url: str, server: Server) -> bool:
    """Whether there are enough scrapes for a rate; the service is used between them."""
    with suppress(httpx.TransportError):
        use(server)
        found = query(url, "count_over_time(infomax_ready[1m])")
        return bool(found) and int(found[0]["value"][1]) >= SCRAPES
    return False


def query(url: str, text: str) -> list[dict[str, Any]]:
    answer = httpx.get(f"{url}/api/v1/query", params={"query": text}).json()
    assert answer["status"] == "success", f"{text}\n{answer}"
    result: list[dict[str, Any]] = answer["data"]["result"]
    return result


def dashboard() -> list[tuple[str, str]]:
    panels = json.loads((ROOT / "ops/grafana/dashboards/infomax.json").read_text())["panels"]
    return [(panel["title"], target["expr"]) for panel in panels for target in panel.get("targets", ())]


def test_every_query_of_the_dashboard_has_an_answer(prometheus: str) -> None:
    without = []
    for title, text in dashboard():
        asked = text.replace("$instance", ".*").replace("$__rate_interval", "1m").replace("$__range", "1m")
        assert "$" not in asked.replace("$1", ""), f"{title}: {asked}"
        if not query(prometheus, asked) and not any(name in text for name in EMPTY):
            without.append(f"{title}: {asked}")
    assert without == []


def test_the_variables_of_the_dashboard_have_values(prometheus: str) -> None:
    variables = json.loads((ROOT / "ops/grafana/dashboards/infomax.json").read_text())["templating"]["list"]
    texts = [
        str(one.get("query", {}) if isinstance(one.get("query"), str) else one["query"]["query"])
        for one in variables
        if one["type"] == "query"
    ]
    assert texts
    for text in texts:
        name = text.removeprefix("label_values(").split(",")[0].rstrip(")")
        assert query(prometheus, name), text


def test_no_alert_fires_on_a_healthy_run(prometheus: str) -> None:
    rules = yaml.safe_load((ROOT / "ops" / "alerts.yml").read_text())["groups"][0]["rules"]
    assert [rule["alert"] for rule in rules if query(prometheus, rule["expr"])] == []
