"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_LOSS = 1.0

Train = Annotated[Path, typer.Option(help="The images it was trained on: a folder or a Parquet file.")]
LargestLoss = Annotated[
    float,
    typer.Option(
        min=0, help="Percentage points that 8 bits may cost k nearest neighbours or a linear classifier."
    ),
]
