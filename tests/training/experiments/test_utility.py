"""What pretraining is worth: of an encoder that knows the classes, however often the work is broken off."""

import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from training.data import ImageSet
from training.errors import TrainingError
from training.experiments.utility import (
    FILE,
    ClassifierSchedule,
    UtilityCurve,
    UtilityResult,
    load,
    measure,
    measurement,
    save,
    sentence,
)
from training.experiments.utility.classifier import fit, from_scratch, pretrained
from training.loop.trained import TrainedEncoder
from training.model.encoders import ENCODERS, Encoder
from training.recipe import EncoderRecipe, ObjectiveRecipe, OptimiserRecipe, Recipe, ViewRecipe

CLASSES = 4
SIZE = 8
FEATURES = 64
# Crops and mirrors would destroy what tells the classes of the toy apart.
SCHEDULE = ClassifierSchedule(
    batch_size=16,
    fewest_steps=12,
    epochs=1,
    scratch=OptimiserRecipe(learning_rate=3e-3),
    fine_tuned=OptimiserRecipe(learning_rate=3e-3),
    views=ViewRecipe(min_crop=1, aspect=1, flip=0, jitter=0, grey=0),
)


def patterns() -> np.ndarray:
    """One faint random pattern for each class, float64 [CLASSES, SIZE, SIZE, 3]."""
    return 12.0 * np.random.default_rng(0).choice([-1, 1], (CLASSES, SIZE, SIZE, 3))


def noisy(count: int, seed: int) -> ImageSet:
    """Images of their class's pattern under noise four times as strong."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(CLASSES, size=count)
    pixels = 128 + patterns()[labels] + generator.normal(0, 48, (count, SIZE, SIZE, 3))
    names = tuple(f"row {row}" for row in range(count))
    return ImageSet(pixels.clip(0, 255).astype(np.uint8), labels, ("a", "b", "c", "d"), names)


def toy(code_units: int) -> Encoder:
    """Takes the whole image for the last map; only `fc` and the code have weights."""
    inputs = 3 * SIZE * SIZE
    fc = nn.Sequential(nn.Flatten(), nn.Linear(inputs, FEATURES), nn.BatchNorm1d(FEATURES))
    return Encoder(SIZE, nn.Identity(), nn.Identity(), fc, nn.Linear(FEATURES, code_units), kernels=[])


def first_weights(encoder: Encoder) -> torch.Tensor:
    """Weights of the linear layer in `fc` of the toy."""
    layer = encoder.get_submodule("fc.1")
    assert isinstance(layer, nn.Linear)
    return layer.weight


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENCODERS, "toy", toy)


@pytest.fixture
def trained() -> TrainedEncoder:
    """An encoder whose `fc` is the matched filter of every class: no better features can be learned."""
    torch.manual_seed(0)
    encoder = toy(4)
    filters = torch.from_numpy(patterns()).float().permute(0, 3, 1, 2).flatten(1)
    with torch.no_grad():
        normed = filters / filters.norm(dim=1, keepdim=True)
        first_weights(encoder).copy_(normed.repeat(FEATURES // CLASSES, 1))
    recipe = Recipe(
        name="toy",
        epochs=1,
        input_size=SIZE,
        views=1,
        encoder=EncoderRecipe(name="toy", code_units=4),
        objective=ObjectiveRecipe(target="fc"),
    )
    return TrainedEncoder(encoder.eval(), recipe, steps=1, total_steps=1, seconds=0.0)


@pytest.fixture
def run(trained: TrainedEncoder) -> Callable[..., UtilityResult]:
    """Measures the toy into a folder."""
    training, test = noisy(240, seed=1), noisy(300, seed=2)

    def run(
        folder: Path,
        counts: tuple[int, ...] = (12, 48),
        seeds: int = 2,
        schedule: ClassifierSchedule = SCHEDULE,
    ) -> UtilityResult:
        return measure(trained, training, test, counts, seeds, schedule, folder)

    return run


def test_features_that_know_the_classes_are_worth_many_labels(
    run: Callable[..., UtilityResult], tmp_path: Path
) -> None:
    schedule = SCHEDULE.model_copy(update={"fewest_steps": 30})
    curve = run(tmp_path, counts=(16, 48, 240), schedule=schedule).curve
    few, _, most = curve.points
    assert few.accuracy["linear"].mean > 0.9
    assert few.accuracy["scratch"].mean < 0.75 < most.accuracy["scratch"].mean
    for method in ("linear", "fine_tuned"):
        assert few.worth[method].utility > 1
        assert all(one.utility(16) > 1 for one in few.worth[method].by_seed)
    assert "times as many labels with fine-tuning" in sentence(curve)


def test_pretraining_that_taught_nothing_changes_nothing(
    run: Callable[..., UtilityResult], trained: TrainedEncoder, tmp_path: Path
) -> None:
    """Fine-tuning differs from training from scratch by the first weights of the encoder alone."""
    untaught = from_scratch(trained, CLASSES, seed=0).encoder
    trained.encoder.load_state_dict(untaught.state_dict())
    for point in run(tmp_path, seeds=1).curve.points:
        assert point.accuracy["fine_tuned"] == point.accuracy["scratch"]


def test_the_frozen_encoder_stays_as_it_is(
    run: Callable[..., UtilityResult], trained: TrainedEncoder, tmp_path: Path
) -> None:
    before = {name: weight.clone() for name, weight in trained.encoder.state_dict().items()}
    run(tmp_path)
    after = trained.encoder.state_dict()
    assert all(torch.equal(after[name], weight) for name, weight in before.items())


def test_a_second_call_measures_nothing_anew(
    run: Callable[..., UtilityResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(tmp_path)
    assert first.finished
    monkeypatch.setattr(measurement, "fit", None)
    monkeypatch.setattr(measurement, "fit_linear", None)
    assert run(tmp_path) == first


def test_more_labels_and_seeds_later_give_what_all_at_once_gives(
    run: Callable[..., UtilityResult], tmp_path: Path
) -> None:
    grown, through = tmp_path / "grown", tmp_path / "through"
    for folder in (grown, through):
        folder.mkdir()
    run(through)
    run(grown, counts=(48,), seeds=1)
    run(grown, counts=(12,), seeds=1)
    assert [point.labels for point in run(grown, counts=(48,)).curve.points] == [12, 48]
    run(grown)
    assert (grown / FILE).read_bytes() == (through / FILE).read_bytes()


@pytest.mark.parametrize("where", ["in a training", "after a probe"])
def test_what_sigterm_broke_off_goes_on_to_the_same_file(
    run: Callable[..., UtilityResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    through, stopped = tmp_path / "through", tmp_path / "stopped"
    for folder in (through, stopped):
        folder.mkdir()
    run(through)
    with monkeypatch.context() as patch:
        if where == "in a training":
            count, calls = measurement._StepProgress.count, iter(range(20))

            def counted(steps: measurement._StepProgress) -> bool:
                # Twelve steps are a training, so this is within the second one.
                if next(calls) == 18:
                    signal.raise_signal(signal.SIGTERM)
                return count(steps)

            patch.setattr(measurement._StepProgress, "count", counted)
        else:

            def save_and_signal(folder: Path, curve: UtilityCurve) -> Path:
                signal.raise_signal(signal.SIGTERM)
                return save(folder, curve)

            patch.setattr(measurement, "save", save_and_signal)
        outcome = run(stopped)
    assert not outcome.finished
    assert len(outcome.curve.cells) == (5 if where == "in a training" else 1)
    assert load(stopped) == outcome.curve
    assert run(stopped).finished
    assert (stopped / FILE).read_bytes() == (through / FILE).read_bytes()


def test_a_curve_of_something_else_is_not_mixed_with_this_one(
    run: Callable[..., UtilityResult], trained: TrainedEncoder, tmp_path: Path
) -> None:
    run(tmp_path, counts=(12,), seeds=1)
    other = SCHEDULE.model_copy(update={"epochs": 2})
    with pytest.raises(
        TrainingError, match=r"of something else \(schedule\); name another folder with --out"
    ):
        run(tmp_path, schedule=other)
    with torch.no_grad():
        first_weights(trained.encoder).mul_(2)
    with pytest.raises(TrainingError, match=r"of something else \(encoder\)"):
        run(tmp_path)


def test_classifiers_learn_in_a_narrow_precision_too(
    run: Callable[..., UtilityResult], tmp_path: Path
) -> None:
    for name in ("wide", "narrow"):
        (tmp_path / name).mkdir()
    schedule = SCHEDULE.model_copy(update={"fewest_steps": 30})
    (wide,) = run(tmp_path / "wide", counts=(240,), seeds=1, schedule=schedule).curve.points
    narrow_schedule = schedule.model_copy(update={"precision": "bfloat16"})
    (narrow,) = run(tmp_path / "narrow", counts=(240,), seeds=1, schedule=narrow_schedule).curve.points
    for method in ("fine_tuned", "scratch"):
        assert narrow.accuracy[method].mean == pytest.approx(wide.accuracy[method].mean, abs=0.1)
        assert narrow.accuracy[method].mean > 0.75
    with pytest.raises(TrainingError, match=r"of something else \(schedule\)"):
        run(tmp_path / "narrow", counts=(240,), seeds=1, schedule=schedule)


def test_an_encoder_without_finite_weights_is_named(trained: TrainedEncoder) -> None:
    with torch.no_grad():
        first_weights(trained.encoder).fill_(torch.nan)
    classifier = pretrained(trained, CLASSES, seed=0)
    images = noisy(12, seed=0)
    assert images.labels is not None
    with pytest.raises(TrainingError, match="classifier on 12 labels is nan at step 1"):
        fit(
            classifier,
            torch.from_numpy(images.pixels[:]),
            torch.from_numpy(images.labels),
            SCHEDULE,
            SCHEDULE.fine_tuned,
            seed=0,
            each_step=lambda: True,
        )
