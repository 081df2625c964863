"""`report.html`: what a run is worth and what is wrong with it, in plain words and pictures."""

from pathlib import Path

from training.data import ImageSet
from training.report.evidence import Evidence, gather
from training.report.findings import RunFinding
from training.report.page import render
from training.report.reported_run import load_reported_run
from training.report.verdict import health, worth
from training.system.atomic_file import write_whole

FILE = "report.html"


def write_report(folder: Path, training: ImageSet, held_out: ImageSet, split: str) -> Evidence:
    """Measure the run in `folder` and write its report there.

    Args:
        folder: of a run.
        training: images that it was trained on.
        held_out: images that it was not trained on.
        split: what these are, in words.

    Returns:
        What the report says.

    Raises:
        TrainingError: there is no usable checkpoint.
        DataError: the held-out images are too few, or of other classes.
        OSError: the folder cannot be written.
    """
    evidence = gather(load_reported_run(folder), training, held_out, split)
    write_whole(folder / FILE, render(evidence))
    return evidence


__all__ = ["FILE", "Evidence", "RunFinding", "health", "worth", "write_report"]
