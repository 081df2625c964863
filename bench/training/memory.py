"""`python -m bench.training.memory`: memory of `infomax train` against the number of images.

Generated photographs are written as Parquet files, decoded and trained on for a minute. What counts is memory
that only this process has: pages of the decoded pixels belong to a file, and the system takes them back.
"""

import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from io import BytesIO
from math import inf
from pathlib import Path
from time import monotonic, sleep
from typing import Annotated

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import typer
from PIL import Image

_INFOMAX = Path(__file__).parents[2] / ".venv" / "bin" / "infomax"
_IMAGES_PER_FILE = 10_000
_SAMPLE_SECONDS = 0.2
# Colours of so many fields on a side make one picture.
_FIELDS = 7
_STOPPED = 75
_LOG_SHOWN = 2000
_STEPS = re.compile(r"training: (\d+)/")
_RECIPE = """
name = "memory"
seed = 0
epochs = 1
batch_size = 32
input_size = {size}
views = 2
embedding_layer = "fc"
[encoder]
name = "resnet18"
code_units = 64
[augmentation]
"""


@dataclass
class Peak:
    """Highest memory of one run.

    Attributes:
        images: number of images.
        decoding_mib: anonymous memory until the first step, in mebibytes.
        steps_mib: anonymous memory from the first step on, in mebibytes.
        steps: number of steps that were made.
        cached_gib: size of the decoded pixels on the disk, in gibibytes.
    """

    images: int
    decoding_mib: float = 0.0
    steps_mib: float = 0.0
    steps: int = 0
    cached_gib: float = 0.0


def main(
    images: Annotated[list[int] | None, typer.Option(min=100, help="Numbers of images.")] = None,
    size: Annotated[int, typer.Option(min=32, help="Height and width in pixels.")] = 224,
    minutes: Annotated[float, typer.Option(min=0.1, help="Of training steps.")] = 1.0,
    folder: Annotated[
        Path | None, typer.Option(help="For images and decoded pixels; default: TMPDIR.")
    ] = None,
) -> None:
    """Train on generated images of each number, and print the table."""
    print("| images | decoded pixels, GiB | while decoding, MiB | during steps, MiB | steps |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    for count in images or (2_000, 20_000, 200_000):
        with tempfile.TemporaryDirectory(prefix="infomax-bench-memory-", dir=folder) as place:
            peak = measure(Path(place), count, size, minutes)
        print(
            f"| {peak.images:,} | {peak.cached_gib:.1f} | {peak.decoding_mib:,.0f} | {peak.steps_mib:,.0f} "
            f"| {peak.steps} |",
            flush=True,
        )


def measure(place: Path, count: int, size: int, minutes: float) -> Peak:
    """Train until `minutes` after the first step; watch the memory of the process and of all below it."""
    data, recipe, log = place / "photos", place / "memory.toml", place / "log.txt"
    data.mkdir()
    write_images(data, count, size)
    recipe.write_text(_RECIPE.format(size=size))
    command: list[str | Path] = [
        _INFOMAX,
        "train",
        "--data",
        data,
        "--recipe",
        recipe,
        "--out",
        place / "run",
        "--no-report",
    ]
    environment = {**os.environ, "XDG_CACHE_HOME": str(place / "cache")}
    peak, end = Peak(count), None
    with (
        log.open("wb") as output,
        subprocess.Popen(command, stderr=output, stdout=output, env=environment) as process,
    ):
        while process.poll() is None:
            memory = anonymous_bytes(process.pid) / 2**20
            if end is None:
                peak.decoding_mib = max(peak.decoding_mib, memory)
                end = monotonic() + 60 * minutes if _STEPS.search(log.read_text()) else None
            else:
                peak.steps_mib = max(peak.steps_mib, memory)
                if monotonic() > end:
                    process.terminate()
                    # A second signal would end it without a checkpoint.
                    end = inf
            sleep(_SAMPLE_SECONDS)
    if process.returncode not in (0, _STOPPED):
        raise SystemExit(log.read_text()[-_LOG_SHOWN:])
    peak.steps = max(int(step) for step in _STEPS.findall(log.read_text()))
    peak.cached_gib = sum(path.stat().st_size for path in place.rglob("pixels.raw")) / 2**30
    return peak


def anonymous_bytes(pid: int) -> int:
    """Read the memory of a process and of all below it that no file holds; what several share counts once."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return 0
    return sum(_anonymous(one.pid) for one in family)


def _anonymous(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss_Anon:"))


def write_images(folder: Path, count: int, size: int) -> None:
    """Write distinct pictures, JPEG, in Parquet files with the column `image`."""
    rng = np.random.default_rng(0)
    for start in range(0, count, _IMAGES_PER_FILE):
        rows = [_picture(rng, size) for _ in range(min(_IMAGES_PER_FILE, count - start))]
        pq.write_table(pa.table({"image": rows}), folder / f"{start:09d}.parquet", compression="none")


def _picture(rng: np.random.Generator, size: int) -> bytes:
    fields = Image.fromarray(rng.integers(0, 256, (_FIELDS, _FIELDS, 3), np.uint8))
    file = BytesIO()
    fields.resize((size, size), Image.Resampling.BILINEAR).save(file, "JPEG", quality=75)
    return file.getvalue()


if __name__ == "__main__":
    typer.run(main)
