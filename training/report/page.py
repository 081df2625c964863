"""One self-contained HTML file made of the evidence: without scripts or hosts, every picture within."""

from dataclasses import dataclass

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from contract.counts import counted
from contract.owned_folder import OwnedFolder
from training.evaluation.label_free import LabelFree
from training.experiments.utility import draw, load, sentence
from training.recipe_file import to_toml
from training.report.accuracies import accuracy_rows
from training.report.charts import bound_chart, loss_chart, map_chart, neighbour_chart, variance_chart
from training.report.critics import term_names
from training.report.evidence import Evidence
from training.report.findings import CHECKS
from training.report.galleries import neighbour_rows, shown_maps
from training.report.theme import DARK, LIGHT, data_uri
from training.report.thumbnails import colour_bar
from training.report.verdict import health, worth

# Images of fewer pixels are shown pixel by pixel; a browser smooths the others.
_SMALL = 64


@dataclass(frozen=True)
class Utility:
    """Result of `infomax utility` for the run: a sentence, and a picture as a data URI."""

    sentence: str
    picture: str


def render(evidence: Evidence) -> str:
    """Render the page."""
    run, recipe = evidence.run, evidence.run.recipe
    terms = term_names(recipe)
    curves = (
        loss_chart(run.points),
        bound_chart(run.points, terms, evidence.caps),
        neighbour_chart(run.points),
    )
    held_out, reach = evidence.held_out, _reach(evidence)
    environment = Environment(
        loader=PackageLoader("training.report", "."), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("page.html").render(
        title=f"{recipe.name} in {run.folder.name}",
        severity=evidence.findings[0].severity if evidence.findings else "",
        health=health(evidence.findings),
        worth=worth(evidence.quality, evidence.baselines),
        facts=_facts(evidence),
        findings=evidence.findings,
        passed=[CHECKS[check] for check in evidence.passed],
        curves=[curve for curve in curves if curve is not None],
        rows=list(accuracy_rows(evidence.quality, evidence.baselines)),
        majority=evidence.quality.majority,
        held_out=f"{len(held_out):,}",
        split=evidence.split,
        utility=_utility(evidence),
        map=map_chart(evidence.embeddings, held_out.labels, held_out.class_names),
        palettes=(LIGHT, DARK),
        labelled=held_out.labels is not None and evidence.training.labels is not None,
        neighbours=list(neighbour_rows(evidence)),
        hits=max(len(one.hits) for one in evidence.neighbours),
        small=recipe.input_size < _SMALL,
        maps=list(shown_maps(evidence, reach)),
        reach=reach,
        colours=colour_bar(),
        shapes=list(evidence.shapes.items()),
        label_free=_label_free(evidence.label_free),
        variances=[(layer, variance_chart(layer, shape)) for layer, shape in evidence.shapes.items()],
        dependences=evidence.dependences,
        unit=_unit(evidence),
        method=_method(evidence),
        recipe=to_toml(recipe),
    )


def _label_free(found: LabelFree) -> str:
    figures = [f"RankMe {found.rank_me:.0f}"]
    if found.alpha is not None:
        figures.append(f"alpha-ReQ {found.alpha:.2f}")
    if found.lidar is not None:
        figures.append(f"LiDAR {found.lidar:.0f}")
    return (
        f"Signs of fc that need no labels: {', '.join(figures)}. They rank runs on the same images: RankMe "
        "and LiDAR are better when larger, alpha-ReQ near 1."
    )


def _reach(evidence: Evidence) -> float:
    """Find the value in nats at which the colours of the maps end."""
    return 1.0 if evidence.maps is None else max(1.0, float(np.abs(evidence.maps).max()))


def _facts(evidence: Evidence) -> list[str]:
    run, recipe = evidence.run, evidence.run.recipe
    unfinished = "" if run.steps == run.total_steps else f" of {run.total_steps:,}"
    return [
        f"{evidence.training_total:,} training images at {recipe.input_size} pixels",
        f"{run.steps:,}{unfinished} steps, {counted(run.epochs, 'epoch')}",
        counted(run.seconds / 60, "minute", ".0f"),
        f"encoder {recipe.encoder.name}, estimator {recipe.objective.estimator}",
        f"measured on {evidence.split}",
    ]


def _unit(evidence: Evidence) -> str:
    estimator = evidence.run.recipe.objective.estimator
    if evidence.caps:
        size = min(evidence.run.recipe.batch_size, len(evidence.training), len(evidence.held_out))
        return f"Lower bounds in nats, by InfoNCE in batches of {size}."
    return f"The divergence that {estimator} maximises: 0 where nothing is told apart."


def _method(evidence: Evidence) -> str:
    trained, asked = evidence.training, evidence.held_out
    sampled = [
        f"{len(images):,} of {total:,} {name}"
        for images, total, name in (
            (trained, evidence.training_total, "training images"),
            (asked, evidence.held_out_total, "held-out images"),
        )
        if len(images) < total
    ]
    drawn = f" To save time {' and '.join(sampled)} were drawn at random." if sampled else ""
    return (
        f"Everything was measured on {len(asked):,} images of {evidence.split}, which the encoder was not "
        f"trained on; classifiers were fitted and neighbours found among {len(trained):,} training images."
        f"{drawn} The figures to quote are those of `infomax probe`, on images that no choice was made by."
    )


def _utility(evidence: Evidence) -> Utility | None:
    """Read the curve in the run's folder, where `infomax utility` has left one."""
    curve = load(evidence.run.folder)
    if curve is None or not curve.points:
        return None
    with OwnedFolder("infomax-report-") as folder:
        picture = folder.path / "utility.png"
        draw(curve, picture)
        return Utility(sentence(curve), data_uri(picture.read_bytes(), "image/png"))
