"""Fills a curve cell by cell: each is a function of its number of labels, seed and method alone.

So neither the order in which cells are measured nor an interruption between them changes the curve.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from contract.progress import Progress
from training.data import ImageSet
from training.errors import TrainingError
from training.evaluation.encoding import encodings
from training.evaluation.probes import fit_linear
from training.evaluation.quality import shared_labels
from training.experiments.utility.cells import TITLES, Method, UtilityCell
from training.experiments.utility.classifier import ClassifierSchedule, fit, from_scratch, pretrained
from training.experiments.utility.curve import (
    FILE,
    CurveSubject,
    UtilityCurve,
    images_digest,
    load,
    save,
    weights_digest,
)
from training.experiments.utility.subsets import check_label_counts, labelled_rows
from training.loop.trained import TrainedEncoder
from training.system.signals import Interruption, watch


@dataclass(frozen=True)
class UtilityResult:
    """Result of a call of `measure`.

    Attributes:
        curve: all that is in the file.
        finished: False when SIGINT or SIGTERM asked to stop; the cell that was under way is lost.
    """

    curve: UtilityCurve
    finished: bool


@dataclass(frozen=True)
class _LabelledPixels:
    """uint8 images [N, H, W, 3] with their classes, int64 [N]."""

    pixels: Tensor
    labels: Tensor

    def take(self, rows: Tensor) -> "_LabelledPixels":
        return _LabelledPixels(self.pixels[rows], self.labels[rows])


@dataclass(frozen=True)
class _CellMeasurer:
    """Encoder, images and schedule that every cell is measured with."""

    trained: TrainedEncoder
    training: _LabelledPixels
    test: _LabelledPixels
    classes: int
    schedule: ClassifierSchedule

    def rows(self, count: int, seed: int) -> Tensor:
        return torch.from_numpy(labelled_rows(self.training.labels.numpy(), count, seed))

    def features(self, images: _LabelledPixels) -> Tensor:
        """Encode the layer that classifiers read, float32 [N, D], with the frozen encoder."""
        layer = self.trained.recipe.embedding_layer
        batches = encodings(self.trained.encoder, images.pixels)
        return torch.cat([encoding.vectors(layer) for encoding in batches])

    def probe(self, count: int, seed: int, features: Tensor, asked: Tensor) -> UtilityCell:
        rows = self.rows(count, seed)
        title = f"{TITLES['linear']}, {count} labels, seed {seed}"
        probe = fit_linear(features[rows], self.training.labels[rows], self.classes, seed, title)
        accuracy = probe.accuracy(asked, self.test.labels)
        return UtilityCell(labels=count, seed=seed, method="linear", accuracy=accuracy)

    def train(self, count: int, seed: int, method: Method, steps: "_StepProgress") -> UtilityCell | None:
        """Measure a cell of a classifier that is trained as a whole; None when it was interrupted."""
        scratch = method == "scratch"
        classifier = (from_scratch if scratch else pretrained)(self.trained, self.classes, seed)
        optimiser = self.schedule.scratch if scratch else self.schedule.fine_tuned
        part = self.training.take(self.rows(count, seed))
        if not fit(classifier, part.pixels, part.labels, self.schedule, optimiser, seed, steps.count):
            return None
        accuracy = classifier.accuracy(self.test.pixels, self.test.labels)
        return UtilityCell(labels=count, seed=seed, method=method, accuracy=accuracy)


class _StepProgress:
    """Counts the steps of all trainings, which cost the same each: the remaining time is worth believing."""

    def __init__(self, progress: Progress, interruption: Interruption, total: int) -> None:
        self._progress, self._interruption, self._total = progress, interruption, total
        self._done = 0
        self.status = ""

    def count(self) -> bool:
        """Count one more step; False when a stop was requested."""
        self._done += 1
        self._progress.update(self._done, self._total, self.status)
        return not self._interruption.requested


def measure(
    trained: TrainedEncoder,
    training: ImageSet,
    test: ImageSet,
    counts: Sequence[int],
    seeds: int,
    schedule: ClassifierSchedule,
    folder: Path,
) -> UtilityResult:
    """Measure what the folder's `utility.json` lacks; it is written after each cell.

    Args:
        trained: the pretrained encoder.
        training: images that keep their labels or lose them.
        test: images that accuracies are measured on.
        counts: numbers of labels.
        seeds: how many times each is measured, with seeds from 0.
        schedule: of fine-tuning and of training from scratch.
        folder: where `utility.json` lies.

    Raises:
        DataError: the labels of the two sets do not fit together.
        TrainingError: a number of labels is impossible, or the file there is of something else.
    """
    labels, truth = shared_labels(training, test)
    check_label_counts(counts, labels)
    bench = _CellMeasurer(
        trained,
        _LabelledPixels(torch.from_numpy(training.pixels[:]), torch.from_numpy(labels)),
        _LabelledPixels(torch.from_numpy(test.pixels[:]), torch.from_numpy(truth)),
        len(training.class_names),
        schedule,
    )
    curve = _begin(folder, _subject(bench, training, test))
    with watch() as interruption:
        for cell in _cells(bench, _missing(curve, counts, seeds), interruption):
            curve = curve.with_cell(cell)
            save(folder, curve)
    return UtilityResult(curve, finished=not _missing(curve, counts, seeds))


def _cells(
    bench: _CellMeasurer, missing: Sequence[tuple[int, int, Method]], interruption: Interruption
) -> Iterator[UtilityCell]:
    """Measure one cell after another, the cheap probes first, until all are done or the user asks to stop."""
    probes = [(count, seed) for count, seed, method in missing if method == "linear"]
    if probes:
        features, asked = bench.features(bench.training), bench.features(bench.test)
        for count, seed in probes:
            if interruption.requested:
                return
            yield bench.probe(count, seed, features, asked)
    trainings = [place for place in missing if place[2] != "linear"]
    total = sum(bench.schedule.steps(count) for count, _, _ in trainings)
    with Progress("utility") as progress:
        steps = _StepProgress(progress, interruption, total)
        for count, seed, method in trainings:
            steps.status = f"{TITLES[method]}, {count} labels, seed {seed}"
            cell = None if interruption.requested else bench.train(count, seed, method, steps)
            if cell is None:
                return
            progress.note(f"{steps.status}: {cell.accuracy:.2%} right")
            yield cell


def _missing(curve: UtilityCurve, counts: Sequence[int], seeds: int) -> list[tuple[int, int, Method]]:
    """List the cells that were requested and are not measured: labels, seed and method."""
    return [
        (count, seed, method)
        for count in sorted(set(counts))
        for seed in range(seeds)
        for method in TITLES
        if not curve.has(count, seed, method)
    ]


def _subject(bench: _CellMeasurer, training: ImageSet, test: ImageSet) -> CurveSubject:
    return CurveSubject(
        encoder=weights_digest(bench.trained.encoder),
        layer=bench.trained.recipe.embedding_layer,
        training=images_digest(training),
        test=images_digest(test),
        training_images=len(training),
        test_images=len(test),
        classes=bench.classes,
        schedule=bench.schedule,
    )


def _begin(folder: Path, subject: CurveSubject) -> UtilityCurve:
    """Load the curve to continue.

    Raises:
        TrainingError: the folder's curve is of another encoder, other images or another schedule.
    """
    curve = load(folder)
    if curve is None:
        return UtilityCurve(subject=subject)
    differing = [
        name for name in CurveSubject.model_fields if getattr(curve.subject, name) != getattr(subject, name)
    ]
    if differing:
        raise TrainingError(
            f"{folder / FILE} is of something else ({', '.join(differing)}); "
            "name another folder with --out, or remove it."
        )
    return curve
