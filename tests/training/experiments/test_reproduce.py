"""`infomax reproduce`: every comparison runs at one budget, and stopping anywhere changes no figure."""

import json
import math
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from tests.training.command import Answer, Infomax
from training.cli import reproduce as command
from training.cli.exit_status import STOPPED
from training.errors import TrainingError
from training.experiments.reproduce import result, running
from training.experiments.reproduce.budget import Budget
from training.experiments.reproduce.experiments import EXPERIMENTS, Experiment, choose
from training.experiments.reproduce.figure import draw
from training.experiments.reproduce.markdown import render
from training.experiments.reproduce.probing import LAYERS, PROBES
from training.experiments.reproduce.result import Result, Score
from training.loop.execution import Execution, Precision
from training.loop.run import Run
from training.model.estimators import ESTIMATORS

BUDGET = Budget(
    train="data/train.parquet", test="data/test.parquet", images=80, epochs=1, batch_size=24, seed=0
)


def finished(name: str, accuracy: float) -> Result:
    """A result with one accuracy everywhere."""
    return Result(
        name=name,
        command=BUDGET.command(name, Path("out")),
        budget=BUDGET,
        hardware="a machine",
        training_seconds=90,
        probing_seconds=30,
        test_images=10_000,
        scores=tuple(
            Score(layer=layer, probe=probe, accuracy=accuracy) for layer in LAYERS for probe in PROBES
        ),
    )


@pytest.fixture
def reproduce(infomax: Infomax, sample_train: Path, sample_test: Path, tmp_path: Path) -> "Command":
    return Command(infomax, sample_train, sample_test, tmp_path / "out")


class Command:
    """`infomax reproduce` at the smallest budget, unless told otherwise."""

    def __init__(self, infomax: Infomax, train: Path, test: Path, out: Path) -> None:
        self._infomax, self._train, self._test, self.out = infomax, train, test, out

    def __call__(
        self, name: str, *more: object, out: Path | None = None, images: int = 80, test: Path | None = None
    ) -> Answer:
        return self._infomax(
            *("reproduce", name, "--train", self._train, "--test", test or self._test),
            *("--out", out or self.out, "--images", images, "--epochs", 1, "--batch-size", 24, *more),
        )


def test_there_is_every_comparison_that_the_paper_makes() -> None:
    assert {"random", "supervised", "ae", "vae", "nat", "dim-g", "dim-g-no-prior"} <= set(EXPERIMENTS)
    of_the_paper = set(ESTIMATORS) - {"decoupled_infonce"}
    assert {f"dim-l-{name.replace('_', '-')}" for name in of_the_paper} <= set(EXPERIMENTS)
    assert choose("all") == tuple(EXPERIMENTS.values())


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", [name for name, one in EXPERIMENTS.items() if one.build is not None])
def test_every_experiment_takes_finite_steps(name: str, precision: Precision, tmp_path: Path) -> None:
    experiment = EXPERIMENTS[name]
    assert experiment.build is not None
    build = experiment.build
    run = Run(
        *(experiment.recipe(BUDGET), tmp_path, 2, lambda recipe: build(recipe, torch.arange(8) % 3)),
        Execution(precision=precision),
    )
    images = torch.randint(0, 256, (8, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator())
    for _ in range(2):
        assert all(math.isfinite(value) for value in run.take_step(images, torch.arange(8)).values())
    assert bool(run.learner.adversary()) == (name.startswith("dim") and not name.endswith("no-prior"))


def stopping(function: Callable[..., object]) -> Callable[..., object]:
    """The function, asked to stop while it runs."""

    def stopped(*arguments: object) -> object:
        os.kill(os.getpid(), signal.SIGTERM)
        return function(*arguments)

    return stopped


def test_stopped_in_training_and_in_probing_it_ends_with_the_same_figures(
    reproduce: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    through = tmp_path / "through"
    assert reproduce("nat", out=through).status == 0
    for owner, name in ((Run, "take_step"), (running, "probe")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, stopping(getattr(owner, name)))
            answer = reproduce("nat")
        assert answer.status == STOPPED
        assert answer.out == "No experiment is finished yet.\nStopped. Go on with the same command.\n"
    assert reproduce("nat").status == 0
    whole, parted = (result.read(out, "nat") for out in (through, reproduce.out))
    assert whole is not None
    assert parted is not None
    assert whole.scores == parted.scores


def test_finished_experiments_are_not_run_again(reproduce: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    first = reproduce("random")
    assert first.status == 0
    assert "| random encoder |" in first.out
    assert (reproduce.out / "figure.png").read_bytes().startswith(b"\x89PNG")
    record = json.loads((reproduce.out / "random.json").read_text())
    assert {(one["layer"], one["probe"]) for one in record["scores"]} == {
        (layer, probe) for layer in LAYERS for probe in PROBES
    }
    monkeypatch.setattr(command, "run_experiment", None)
    assert reproduce("random").out == first.out


def test_a_time_limit_stops_before_the_next_experiment(reproduce: Command) -> None:
    answer = reproduce("all", "--minutes", 0)
    assert answer.status == STOPPED
    assert answer.out.endswith("Go on with the same command.\n")


def test_an_experiment_that_fails_does_not_cost_the_others(
    reproduce: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = []

    def run_experiment(experiment: Experiment, *_: object) -> None:
        ran.append(experiment.name)
        if experiment.name == "vae":
            raise TrainingError("The loss is nan.")

    monkeypatch.setattr(command, "run_experiment", run_experiment)
    answer = reproduce("all")
    assert ran == list(EXPERIMENTS)
    assert answer.sentence == f"1 of {len(EXPERIMENTS)} experiments failed. vae: The loss is nan."


def test_a_folder_belongs_to_one_budget(reproduce: Command) -> None:
    assert reproduce("all", "--minutes", 0).status == STOPPED
    sentence = reproduce("random", images=90).sentence
    assert sentence.startswith(f"{reproduce.out} holds experiments of another budget (images 80, not 90);")


def test_a_narrow_precision_is_part_of_the_budget_and_of_the_command(reproduce: Command) -> None:
    answer = reproduce("nat", "--precision", "bfloat16")
    assert answer.status == 0
    assert "--seed 0 --precision bfloat16\n" in answer.out
    sentence = reproduce("nat").sentence
    assert "another budget (precision bfloat16, not float32)" in sentence


def test_impossible_requests_are_refused_before_any_image_is_decoded(
    reproduce: Command, sample_test: Path, tmp_path: Path
) -> None:
    unlabelled = tmp_path / "unlabelled.parquet"
    pq.write_table(pq.read_table(sample_test).drop_columns(["label"]), unlabelled)
    for answer, words in (
        (reproduce("dim-l"), "There is no experiment 'dim-l'; choose one of random, supervised,"),
        (reproduce("random", images=301), "holds only 300; ask for fewer."),
        (reproduce("random", test=unlabelled), "The test images have no labels"),
    ):
        assert words in answer.sentence
        assert "decoding" not in answer.err
    assert not reproduce.out.exists()


def test_a_damaged_result_is_named(tmp_path: Path) -> None:
    (tmp_path / "vae.json").write_text("{")
    with pytest.raises(TrainingError, match=r"vae\.json is damaged; remove it to measure vae anew"):
        result.read(tmp_path, "vae")


def test_the_table_marks_the_best_and_what_is_quoted() -> None:
    table = render([finished("random", 0.25), finished("dim-l-jsd", 0.5)])
    random, jsd = (line for line in table.splitlines() if "infomax reproduce" in line and "…" in line)
    assert random.count(" 25.0 ") == jsd.count(" **50.0** ") == len(LAYERS) * len(PROBES)
    assert "| 73.3 / 73.6 / 67.0 | `infomax reproduce dim-l-jsd …` | 0 | 1.5, 0.5 |" in jsd
    assert "quoted from memory" in table
    assert "on the same 72 images, 1 times over in batches of 24" in table
    assert "by up to 0.5 (standard error)" in table
    assert "--train train.parquet --test test.parquet --out reproduced --images 80" in table


def test_the_figure_shows_every_method(tmp_path: Path) -> None:
    path = tmp_path / "figure.png"
    draw([finished("random", 0.25)], path)
    one = path.read_bytes()
    draw([finished("random", 0.25), finished("dim-l-jsd", 0.5)], path)
    assert one.startswith(b"\x89PNG")
    assert path.read_bytes() != one
