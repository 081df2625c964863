"""The example for Kubernetes: what its files say of each other and of the service."""

from pathlib import Path
from typing import Any

import yaml

from service.metrics import QUEUE_DEPTH
from service.settings import Settings

FOLDER = Path(__file__).parents[1] / "ops" / "kubernetes"
# Read by others: kustomize itself and the chart of the adapter.
NO_RESOURCES = {"kustomization.yml", "prometheus-adapter.yml"}


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
