"""The example for Kubernetes: what its files say of each other and of the service."""

from pathlib import Path
from typing import Any

import typer
import yaml
from typer.main import get_command

from service.cli.embed import embed
from service.cli.exit_status import STOPPED
from service.metrics import QUEUE_DEPTH
from service.settings import Settings

FOLDER = Path(__file__).parents[1] / "ops" / "kubernetes"
# Read by others, or applied by themselves: kustomize itself, the chart of the adapter, the job.
NO_RESOURCES = {"kustomization.yml", "prometheus-adapter.yml", "embed-job.yml"}


def read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text())
    return found


def test_the_kustomization_names_every_resource_and_no_other() -> None:
    assert set(read("kustomization.yml")["resources"]) | NO_RESOURCES == {
        path.name for path in FOLDER.iterdir()
    }


def test_the_kustomization_renames_the_image_that_the_deployment_runs() -> None:
    (image,) = read("kustomization.yml")["images"]
    (container,) = read("deployment.yml")["spec"]["template"]["spec"]["containers"]
    assert container["image"].split(":")[0] == image["name"]


def test_replicas_follow_a_metric_that_exists_and_that_the_adapter_serves() -> None:
    scaler = read("autoscaler.yml")["spec"]
    (metric,) = scaler["metrics"]
    (family,) = QUEUE_DEPTH.describe()
    assert metric["pods"]["metric"]["name"] == family.name
    (rule,) = read("prometheus-adapter.yml")["rules"]["custom"]
    assert rule["seriesQuery"].startswith(family.name + "{")


def test_the_autoscaler_and_the_budget_are_about_the_deployment() -> None:
    deployment, scaler, budget = map(read, ("deployment.yml", "autoscaler.yml", "disruption.yml"))
    target = scaler["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == (deployment["kind"], deployment["metadata"]["name"])
    assert scaler["spec"]["minReplicas"] == deployment["spec"]["replicas"]
    assert budget["spec"]["selector"] == deployment["spec"]["selector"]


def test_replicas_are_added_before_requests_are_refused() -> None:
    (metric,) = read("autoscaler.yml")["spec"]["metrics"]
    depth = int(metric["pods"]["target"]["averageValue"])
    assert depth < Settings.model_fields["queue_items"].default


def test_the_job_goes_on_after_a_stop_and_gives_up_on_errors() -> None:
    job = read("embed-job.yml")["spec"]
    (given_up,) = [rule["onExitCodes"] for rule in job["podFailurePolicy"]["rules"] if "onExitCodes" in rule]
    (container,) = job["template"]["spec"]["containers"]
    assert given_up["containerName"] == container["name"]
    assert STOPPED not in given_up["values"]
    assert {1, 2} <= set(given_up["values"])
    options = {part for part in container["args"] if part.startswith("--")}
    assert options <= {name for option in get_command(_app()).params for name in option.opts}


def _app() -> typer.Typer:
    app = typer.Typer()
    app.command()(embed)
    return app
