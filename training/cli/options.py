"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Train = Annotated[Path, typer.Option(help="The images it was trained on: a folder or a Parquet file.")]
