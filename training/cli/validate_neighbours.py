"""`infomax validate-neighbours`: how often the neighbours that an exported model finds are right."""

from pathlib import Path
from typing import Annotated

import numpy as np
import onnxruntime
import typer

from contract.artefact import open_artefact
from contract.card import CARD_FILE
from contract.neighbour_measure import NeighbourMeasure
from contract.table import print_table
from training.cli.failures import plain_failures
from training.cli.options import SkipUnreadable
from training.data import images as decoded
from training.data import open_source
from training.errors import DataError
from training.evaluation.maps.subject import encode
from training.evaluation.neighbour_precision import measure_neighbours
from training.export.measured_card import write_neighbours


def validate_neighbours(
    model: Annotated[Path, typer.Option(help="Model folder.")],
    test: Annotated[Path, typer.Option(help="Labelled images that nothing was fitted to.")],
    neighbours: Annotated[int, typer.Option(min=1, help="Of each image, among the others.")] = 12,
    test_name: Annotated[str | None, typer.Option(help="Which images these are, in words.")] = None,
    write: Annotated[
        bool, typer.Option("--write", help="State the figures in the model's card.json and README.")
    ] = False,
    skip_unreadable: SkipUnreadable = False,
) -> None:
    """Measure from which cosine on the neighbours of an exported model are right.

    From there on a neighbour is at least as likely of the same class as of another one.
    """
    with plain_failures():
        artefact = open_artefact(model)
        images = decoded.load_images(
            open_source(test), artefact.card.preprocessing, skip_unreadable=skip_unreadable
        )
        if images.labels is None:
            raise DataError(
                f"The images of {test} have no labels. Put them into one sub-folder for each class."
            )
        session = onnxruntime.InferenceSession(artefact.encoder, providers=["CPUExecutionProvider"])
        (embeddings,) = encode(session, images.pixels[:], ("embedding",))
        labels = np.asarray(images.labels, np.int64)
        found = measure_neighbours(embeddings, labels, test_name or str(test), neighbours)
    print_table(("cosine", "right from there on", "right below", "neighbours", "images"), [_row(found)])
    if write:
        with plain_failures():
            write_neighbours(artefact, found)
        typer.echo(f"{artefact.folder / CARD_FILE} states these figures.")


def _row(found: NeighbourMeasure) -> tuple[str, ...]:
    above, below = ("" if share is None else f"{share:.1%}" for share in (found.above, found.below))
    return f"{found.cosine:.3f}", above, below, str(found.neighbours), str(found.images)
