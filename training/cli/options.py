"""Options that several commands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

DEFAULT_LOSS = 1.0
UNSTATED = "not stated"
RECIPE_HELP = "Name of a shipped recipe, such as own_images_64, or a TOML file."


class Precision(StrEnum):
    """Precision of the encoder's products; auto is bfloat16 on a GPU and float32 elsewhere."""

    AUTO = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


InPrecision = Annotated[
    Precision, typer.Option(help="Of the encoder's products; auto: bfloat16 on a GPU, else float32.")
]

Train = Annotated[Path, typer.Option(help="The images it was trained on: a folder or a Parquet file.")]
Minutes = Annotated[float | None, typer.Option(min=0, help="Stop after this time, with status 75.")]
SkipUnreadable = Annotated[
    bool,
    typer.Option(
        "--skip-unreadable",
        help="Leave out all unreadable images, each named, and not only a hundredth of them.",
    ),
]
ModelsFolder = Annotated[
    Path,
    typer.Option(
        help="Folder of <name>/<version> folders to write into; the default lies in the current folder."
    ),
]
Licence = Annotated[str, typer.Option(help="Licence of the weights.")]
Summary = Annotated[str | None, typer.Option(help="What the model is, in one or two sentences.")]
Limits = Annotated[
    list[str] | None, typer.Option("--limit", help="What it is not good for; once for each sentence.")
]
NewVersion = Annotated[int, typer.Option(min=1, help="A version is written once.")]
EncoderPrecision = Annotated[
    Literal["fp32", "int8"], typer.Option(help="int8: write the encoder in 8 bits beside the fp32 one.")
]
LargestLoss = Annotated[
    float,
    typer.Option(
        min=0, help="Percentage points that 8 bits may cost k nearest neighbours or a linear classifier."
    ),
]
