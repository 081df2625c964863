"""Documents, dashboard and alerts name what exists, and all that exists."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from fastapi.routing import APIRoute
from prometheus_client import Metric, ProcessCollector
from prometheus_client.metrics import MetricWrapperBase

from service import metrics
from service.app import ROUTERS
from service.cli.setting_options import default_text
from service.errors import item_error
from service.inference.results import Failed
from service.settings import PREFIX, Settings
from tests.error_codes import raised

ROOT = Path(__file__).parents[1]
DOCS = sorted((ROOT / "docs").glob("*.md"))
OPERATIONS = ROOT / "docs" / "operations.md"
ERRORS = ROOT / "docs" / "errors.md"
API = ROOT / "docs" / "api.md"
README = ROOT / "README.md"
DASHBOARD = ROOT / "ops" / "grafana" / "dashboards" / "infomax.json"
ALERTS = ROOT / "ops" / "alerts.yml"

METRIC = re.compile(r"\binfomax_[a-z0-9_]+")
ANY_METRIC = re.compile(r"\b(?:infomax|process)_[a-z0-9_]+")
VARIABLE = re.compile(r"\bINFOMAX_[A-Z0-9]+(?:_[A-Z0-9]+)*\b")
# Settings of the tests, not of the service.
TEST_VARIABLES = {"INFOMAX_TEST_DATA", "INFOMAX_TEST_ENVIRONMENT"}
METHODS = {"GET", "PUT", "POST", "DELETE"}


def service_metrics() -> list[MetricWrapperBase]:
    return [value for value in vars(metrics).values() if isinstance(value, MetricWrapperBase)]


def full_name(family: Metric) -> str:
    return family.name + ("_total" if family.type == "counter" else "")


def sample_names() -> set[str]:
    """What a query can ask for: a histogram is three series."""
    suffixes = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
    families = [family for metric in service_metrics() for family in metric.describe()]
    families += ProcessCollector(registry=None).collect()
    return {family.name + suffix for family in families for suffix in suffixes[family.type]}


def first_column(page: Path, heading: str) -> list[str]:
    """What stands in code type in the first column of the table under a heading."""
    section = page.read_text().split(f"\n{heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `([^`]+)`", section, re.MULTILINE)


@pytest.mark.skipif(shutil.which("make") is None, reason="no make on this machine")
@pytest.mark.parametrize("target", ["serve", "setup", "lint"])
def test_a_long_installation_is_announced_by_its_size(target: str) -> None:
    command = ["make", "--dry-run", "--always-make", target]
    lines = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    long = [number for number, line in enumerate(lines) if "serving.lock" in line or "[training," in line]
    assert len(long) == (1 if target == "serve" else 2)
    for number in long:
        assert re.search(r'^echo "Installing what .* GB', lines[number - 1])


def test_dashboard_and_alerts_query_metrics_that_exist() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    queries += [
        rule["expr"] for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]
    ]
    unknown = {name for query in queries for name in ANY_METRIC.findall(query)} - sample_names()
    assert unknown == set()


def test_every_panel_says_where_its_data_comes_from() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        for target in panel.get("targets", []):
            assert target["datasource"]["uid"] == "${datasource}", panel["title"]
            assert 'instance=~"$instance"' in target["expr"], panel["title"]


def metrics_table() -> str:
    """The table of metrics that docs/operations.md has to hold."""
    rows = ["| metric | kind | labels | what |", "| --- | --- | --- | --- |"]
    for metric in service_metrics():
        (family,) = metric.describe()
        labels = ", ".join(f"`{label}`" for label in metric._labelnames)
        rows.append(f"| `{full_name(family)}` | {family.type} | {labels} | {family.documentation} |")
    return "\n".join(rows) + "\n"


def settings_table() -> str:
    """The table of settings that docs/operations.md has to hold."""
    rows = ["| variable | default | what |", "| --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        default = f"`{default_text(name)}`" if default_text(name) else ""
        description = (field.description or "").replace("<", "\\<")
        rows.append(f"| `{PREFIX}{name.upper()}` | {default} | {description} |")
    return "\n".join(rows) + "\n"


@pytest.mark.parametrize(("name", "table"), [("settings", settings_table()), ("metrics", metrics_table())])
def test_the_tables_of_operations_are_what_the_code_says(name: str, table: str) -> None:
    text = OPERATIONS.read_text()
    written = (
        text.split(f"<!-- {name}: kept equal")[1].split("-->\n", 1)[1].split(f"<!-- end of {name} -->")[0]
    )
    assert written == table, f"put this into {OPERATIONS}:\n{table}"


@pytest.mark.parametrize("page", [README, *DOCS], ids=lambda page: page.name)
def test_pages_name_metrics_and_variables_that_exist(page: Path) -> None:
    text = page.read_text()
    families = {full_name(family) for metric in service_metrics() for family in metric.describe()}
    assert set(METRIC.findall(text)) - families - sample_names() == set()
    assert set(VARIABLE.findall(text)) - variables() - TEST_VARIABLES == set()


@pytest.mark.parametrize(
    "name",
    [
        "Dockerfile",
        "docker-compose.yml",
        "Makefile",
        *(f"ops/{p.relative_to(ROOT / 'ops')}" for p in sorted((ROOT / "ops").rglob("*.*"))),
    ],
)
def test_deployment_files_set_variables_that_exist(name: str) -> None:
    assert set(VARIABLE.findall((ROOT / name).read_text())) - variables() - TEST_VARIABLES == set()


def variables() -> set[str]:
    return {PREFIX + name.upper() for name in Settings.model_fields}


def test_every_alert_is_explained_and_tested() -> None:
    rules = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
    names = [rule["alert"] for rule in rules]
    assert first_column(OPERATIONS, "## Alerts") == names
    tests = yaml.safe_load((ROOT / "ops" / "alerts_test.yml").read_text())["tests"]
    fired = {
        case["alertname"] for test in tests for case in test["alert_rule_test"] if case.get("exp_alerts")
    }
    assert fired == set(names)
    # promtool compares summaries too, with their values; it is not on every machine.
    actions = {rule["alert"]: rule["annotations"]["action"] for rule in rules}
    for test in tests:
        for case in test["alert_rule_test"]:
            for expected in case.get("exp_alerts") or []:
                assert expected["exp_annotations"]["action"] == actions[case["alertname"]]


def test_every_error_code_is_explained_and_no_other() -> None:
    codes = {code for one in raised(ROOT / "contract", ROOT / "service") for code in one.codes}
    documented = first_column(ERRORS, "## Codes")
    assert len(documented) == len(set(documented))
    assert set(documented) == codes


def test_error_codes_have_the_status_that_the_page_says() -> None:
    page = dict(re.findall(r"^\| `([a-z0-9_]+)` \| ([^ ]+) \|", ERRORS.read_text(), re.MULTILINE))
    for one in raised(ROOT / "contract", ROOT / "service"):
        for code in one.codes:
            if one.status is not None:
                assert page[code] == str(one.status), code
            elif one.kind == "ImageError":
                assert page[code] == str(item_error(Failed(code, "")).status), code


def test_the_api_page_lists_the_routes_and_no_other() -> None:
    routes = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    served = {
        f"{method} {route.path.replace(':path}', '}')}"
        for route in routes
        for method in METHODS & (route.methods or set())
    }
    documented = first_column(API, "## Routes")
    assert len(documented) == len(set(documented))
    assert set(documented) == served


def test_every_container_of_the_compose_file_is_limited() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for name, service in services.items():
        assert {"memory", "pids"} <= service["deploy"]["resources"]["limits"].keys(), name
        assert "max-size" in service["logging"]["options"], name
