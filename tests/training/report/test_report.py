"""`report.html`: whole in itself, true to what was measured, and never the end of a finished run."""

import html
import re
import shutil
import warnings
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch

from contract.preprocessing import Preprocessing
from tests.training.command import RECIPE, Infomax
from training import report as reporting
from training.cli import train_run
from training.data import ImageSet, load
from training.errors import TrainingError
from training.evaluation.quality import measure_quality
from training.export.embedding_graph import embedded, frozen_graph
from training.loop.input_statistics import fit_input
from training.model.learner import Learner
from training.recipe import Recipe
from training.recipe_file import load_recipe
from training.report import Evidence, write_report
from training.report.accuracies import accuracy_rows
from training.report.baselines import measure_baselines
from training.report.charts import principal_axes
from training.report.critics import caps, dependences, mi_maps
from training.report.evidence import gather
from training.report.neighbours import examples, nearest
from training.report.page import render
from training.report.reported_run import load_reported_run
from training.report.verdict import health, worth

RULE = Preprocessing(height=32, width=32)


@pytest.fixture(scope="module")
def training(sample_train: Path) -> ImageSet:
    return load(sample_train, RULE)


@pytest.fixture(scope="module")
def held_out(sample_test: Path) -> ImageSet:
    return load(sample_test, RULE)


@pytest.fixture(scope="module")
def evidence(finished_run: Path, training: ImageSet, held_out: ImageSet) -> Evidence:
    return gather(load_reported_run(finished_run), training, held_out, "100 other images")


@pytest.fixture(scope="module")
def page(evidence: Evidence) -> str:
    return render(evidence)


class Tags(HTMLParser):
    """Every tag with its attributes, and whether all that were opened are closed."""

    VOID = ("meta", "img", "source", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_needs_nothing_but_itself(page: str) -> None:
    tags = Tags(page)
    assert tags.open == []
    assert not {tag for tag, _ in tags.found} & {"script", "link", "iframe", "object"}
    addresses = [
        str(attributes[name])
        for _, attributes in tags.found
        for name in ("src", "srcset", "href")
        if name in attributes
    ]
    assert len(addresses) > 50
    assert all(address.startswith("data:image/") for address in addresses)


def test_every_picture_says_what_it_shows(page: str) -> None:
    pictures = [attributes for tag, attributes in Tags(page).found if tag == "img"]
    assert all(attributes.get("alt") for attributes in pictures)


def test_the_page_says_what_was_measured(page: str, evidence: Evidence) -> None:
    assert health(evidence.findings) in page
    assert worth(evidence.quality, evidence.baselines) in page
    for finding in evidence.findings:
        assert finding.title in page
    assert evidence.baselines is not None
    for row in accuracy_rows(evidence.quality, evidence.baselines):
        assert row.untrained is not None
        others = "".join(f"<td>{100 * each:.1f} %</td>" for each in (row.untrained, row.pixels) if each)
        figures = f"<td>{100 * row.accuracy:.1f} % ± {100 * row.error:.1f}</td>{others}"
        assert f"<td>{row.name}</td>{figures}" in page
    for term in evidence.dependences:
        assert f"<td>{term.term}</td><td>{term.training:.2f}</td><td>{term.held_out:.2f}</td>" in page


def test_a_run_of_eight_steps_is_not_judged(evidence: Evidence) -> None:
    """Nor is it called healthy, however well its classifiers do: it has hardly left where it began."""
    assert health(evidence.findings).startswith("Too short to judge. Steps taken: 8, 2 epochs of 4 steps.")
    assert "collapse" in evidence.passed
    assert "healthy" not in health(evidence.findings)


def test_every_figure_of_the_first_sentences_has_its_error_its_number_and_what_needs_no_training(
    evidence: Evidence,
) -> None:
    said = worth(evidence.quality, evidence.baselines)
    assert said.startswith("Accuracy on 100 held-out images, with its standard error.")
    assert len(re.findall(r"\d % ± \d+\.\d \(untrained encoder \d+\.\d %, raw pixels \d+\.\d %\)", said)) == 2


def test_the_untrained_encoder_is_the_run_before_its_first_step(training: ImageSet, recipe: Recipe) -> None:
    """Of the same seed, statistics included, so that all that differs is what the steps have taught."""
    scores = measure_baselines(recipe, training, training).untrained
    torch.manual_seed(recipe.seed)
    encoder = Learner(recipe).encoder
    fit_input(encoder, training.pixels, recipe)
    graph = frozen_graph(embedded(encoder.eval(), recipe.embedding_layer, training, recipe.seed))
    again = measure_quality(graph, training, training, split="", seed=recipe.seed).scores
    assert scores == again


def test_one_class_is_as_good_as_none(finished_run: Path, training: ImageSet, held_out: ImageSet) -> None:
    """Such as photographs in a folder within the folder."""
    one, other = (
        replace(images, labels=np.zeros(len(images), np.int64), class_names=("all",))
        for images in (training, held_out)
    )
    assert gather(load_reported_run(finished_run), one, other, "others").baselines is None


def test_class_names_of_every_script_are_text_of_the_page(evidence: Evidence) -> None:
    """No plot draws them: its font would show boxes in their place, and say so on stderr."""
    names = ("猫", "犬", "새", "กบ", "<b>&", "é", "\\xff", "馬", "ship", "truck")
    one, other = (replace(images, class_names=names) for images in (evidence.training, evidence.held_out))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        page = render(replace(evidence, training=one, held_out=other))
    for name in names:
        assert f"</span>{html.escape(name, quote=False)}</li>" in page


def test_without_labels_nothing_is_said_of_classes(
    finished_run: Path, training: ImageSet, held_out: ImageSet
) -> None:
    bare = [replace(images, labels=None, class_names=()) for images in (training, held_out)]
    evidence = gather(load_reported_run(finished_run), bare[0], bare[1], "others")
    assert evidence.baselines is None
    assert "pixels" not in evidence.passed
    page = render(evidence)
    assert "no labels" in page
    assert "What it says about your classes" not in page
    assert "✓ is of the same class" not in page


def test_a_collapsed_encoder_is_named_in_the_first_sentence(
    finished_run: Path, training: ImageSet, held_out: ImageSet
) -> None:
    run = replace(load_reported_run(finished_run), steps=5_000, total_steps=5_000)
    with torch.no_grad():
        run.learner.encoder.code.weight.zero_()  # type: ignore[operator]
    # Classifiers take the most time, and have no say in it.
    bare = [replace(images, labels=None, class_names=()) for images in (training, held_out)]
    evidence = gather(run, bare[0], bare[1], "others")
    assert health(evidence.findings) == "Do not use this encoder: the encoder has collapsed (code)."
    assert "The encoder has collapsed (code)" in render(evidence)


def test_the_same_run_and_images_give_the_same_page(
    page: str, finished_run: Path, training: ImageSet, held_out: ImageSet, tmp_path: Path
) -> None:
    again = gather(load_reported_run(finished_run), training, held_out, "100 other images")
    assert render(again) == page


def test_too_few_held_out_images_are_refused(
    finished_run: Path, training: ImageSet, held_out: ImageSet
) -> None:
    with pytest.raises(Exception, match="3 held-out images are too few to report on; give at least 4"):
        write_report(finished_run, training, held_out.take(np.arange(3)), "others")


def test_a_checkpoint_of_another_model_is_refused(finished_run: Path, tmp_path: Path) -> None:
    state = torch.load(finished_run / "checkpoint.pt", weights_only=True)
    state["learner"]["decoder.weight"] = torch.zeros(1)
    torch.save(state, tmp_path / "checkpoint.pt")
    with pytest.raises(TrainingError, match="holds another model than its recipe describes"):
        load_reported_run(tmp_path)


def learner_of(recipe: Recipe) -> Learner:
    torch.manual_seed(0)
    return Learner(recipe).eval()


@pytest.fixture
def recipe(sample_recipe: Path) -> Recipe:
    return load_recipe(sample_recipe)


def test_one_set_of_images_beside_itself_shows_no_gap(recipe: Recipe, training: ImageSet) -> None:
    terms = dependences(learner_of(recipe), recipe, training.pixels, training.pixels)
    assert [term.term for term in terms] == ["local_features", "local_conv", "pairwise"]
    assert all(term.training == term.held_out for term in terms)


def test_ceilings_are_those_of_infonce_alone(recipe: Recipe) -> None:
    assert caps(recipe) == pytest.approx(
        {"local_features": np.log(64), "local_conv": np.log(64), "pairwise": np.log(127)}
    )
    other = recipe.objective.model_copy(update={"estimator": "dv"})
    assert caps(recipe.model_copy(update={"objective": other})) == {}


@pytest.mark.parametrize("estimator", ["infonce", "jsd", "dv"])
def test_every_estimator_gives_a_map_for_each_image(
    recipe: Recipe, estimator: str, training: ImageSet, held_out: ImageSet
) -> None:
    changed = recipe.model_copy(
        update={"objective": recipe.objective.model_copy(update={"estimator": estimator})}
    )
    maps = mi_maps(learner_of(changed), changed, held_out.pixels[:3], training.pixels[:40])
    assert maps is not None
    assert maps.shape == (3, 8, 8)
    assert np.isfinite(maps).all()


def test_a_recipe_without_a_local_term_has_no_maps(recipe: Recipe, training: ImageSet) -> None:
    objective = recipe.objective.model_copy(update={"local_weight": 0.0})
    changed = recipe.model_copy(update={"objective": objective})
    assert mi_maps(learner_of(changed), changed, training.pixels[:2], training.pixels[2:9]) is None


def test_a_vector_in_the_bank_is_its_own_nearest_neighbour() -> None:
    bank = torch.eye(5)
    (found,) = nearest(bank, bank, [3], k=2)
    assert found.hits[0] == 3
    assert found.similarities == (1.0, 0.0)


def test_examples_are_of_as_many_classes_as_there_are(held_out: ImageSet) -> None:
    assert held_out.labels is not None
    assert len(set(held_out.labels[examples(held_out, 10, seed=0)])) == 10
    assert len(set(examples(held_out, 25, seed=0))) == 25


def test_principal_axes_are_those_of_the_largest_variance() -> None:
    vectors = torch.randn(400, 6, generator=torch.Generator().manual_seed(0))
    vectors *= torch.tensor([0.1, 5.0, 0.1, 0.1, 2.0, 0.1])
    places, share = principal_axes(vectors + 7)
    assert share > 0.99
    assert np.abs(np.corrcoef(places[:, 0], vectors[:, 1])[0, 1]) > 0.99
    assert np.abs(np.corrcoef(places[:, 1], vectors[:, 4])[0, 1]) > 0.99


def test_a_finished_run_is_reported_on_and_can_be_again(
    infomax: Infomax, finished_run: Path, sample_train: Path, sample_test: Path, tmp_path: Path
) -> None:
    assert (finished_run / "report.html").read_text().startswith("<!doctype html>")
    run = shutil.copytree(finished_run, tmp_path / "run")
    answer = infomax("report", "--run", run, "--train", sample_train, "--held-out", sample_test)
    assert answer.status == 0
    assert answer.out.splitlines()[-1] == f"{run / 'report.html'} says more."
    assert str(sample_test) in (run / "report.html").read_text()
    refused = infomax("report", "--run", run, "--train", sample_test)
    assert "are not those that the run was made of" in refused.sentence


def test_a_report_that_fails_or_is_interrupted_leaves_the_run_finished(
    infomax: Infomax, sample_train: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tmp_path / "short.toml"
    recipe.write_text(
        RECIPE.replace("epochs = 2", "epochs = 1").replace("batch_size = 64", "batch_size = 256")
    )
    arguments = ("train", "--recipe", recipe, "--data", sample_train, "--out")

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(train_run, "write_report", fail)
    answer = infomax(*arguments, tmp_path / "run")
    assert answer.status == 0
    assert "there is no report of it (KeyboardInterrupt)" in answer.err
    assert f"infomax report --run {tmp_path / 'run'}" in answer.err
    assert "Finished 1 step in " in answer.out
    assert "note:" not in infomax(*arguments, tmp_path / "other", "--no-report").err
    assert not (tmp_path / "other" / reporting.FILE).exists()
