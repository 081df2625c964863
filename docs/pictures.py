"""The README's two pictures, from the shipped model and images that it was not trained on.

make pictures DATA=test.parquet     # a Parquet file with images under `img` or `image`
"""

import asyncio
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import typer
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from service.inference.pipeline import Pipeline
from service.inference.results import Embedded, Priority, Want
from service.settings import load_settings

IMAGES = Path(__file__).parent / "images"
_MAPS = 8
_QUERIES, _HITS = 5, 8
_CHUNK = 256
_DPI = 130


def main(data: Path, seed: int = 0) -> None:
    """Draw `mi-map.png` and `neighbours.png` from the images in a Parquet file, chosen at random by seed."""
    files = encoded_images(data)
    answers = asyncio.run(embed_files(Pipeline(load_settings()), files, Want.MAP))
    chosen = np.random.default_rng(seed).permutation(len(files))
    IMAGES.mkdir(exist_ok=True)
    _draw_maps(files, answers, chosen[:_MAPS])
    _draw_neighbours(files, answers, chosen[_MAPS : _MAPS + _QUERIES])


def encoded_images(data: Path) -> list[bytes]:
    table = pq.read_table(data)
    column = "img" if "img" in table.column_names else "image"
    return [bytes(member) for member in pc.struct_field(table.column(column), "bytes").to_pylist()]


async def embed_files(pipeline: Pipeline, files: Sequence[bytes], want: Want) -> list[Embedded]:
    """Start the pipeline, answer every image, and stop it; an image that cannot be used ends the program."""
    await pipeline.start()
    answers: list[Embedded] = []
    for start in range(0, len(files), _CHUNK):
        for outcome in await pipeline.embed(files[start : start + _CHUNK], want, Priority.BULK):
            if not isinstance(outcome, Embedded):
                raise SystemExit(f"an image cannot be used: {outcome.message}")
            answers.append(outcome)
    await pipeline.stop(1)
    return answers


def _draw_maps(files: list[bytes], answers: list[Embedded], chosen: NDArray[np.int64]) -> None:
    """Images above, their maps below, all on one scale."""
    maps = [answers[row].mi_map for row in chosen]
    reach = max(float(np.abs(one).max()) for one in maps if one is not None)
    scale = Normalize(-reach, reach)
    figure = Figure(figsize=(1.25 * _MAPS + 0.9, 2.75), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, _MAPS)
    for column, (row, mi_map) in enumerate(zip(chosen, maps, strict=True)):
        assert mi_map is not None  # noqa: S101 (maps were asked for)
        picture = Image.open(BytesIO(files[row])).convert("RGB")
        _show(panels[0, column], picture)
        _show(panels[1, column], picture.convert("L"))
        panels[1, column].imshow(
            mi_map, extent=(0, picture.width, picture.height, 0), cmap="RdBu_r", norm=scale, alpha=0.65
        )
        panels[1, column].set_xlabel(f"mean {mi_map.mean():.1f}", fontsize=7, labelpad=2)
    bar = figure.colorbar(ScalarMappable(scale, "RdBu_r"), ax=panels, fraction=0.02, pad=0.01)
    bar.set_label("pointwise MI with the code, nats", fontsize=7)
    bar.ax.tick_params(labelsize=7)
    figure.savefig(IMAGES / "mi-map.png", dpi=_DPI, metadata={"Software": None})


def _draw_neighbours(files: list[bytes], answers: list[Embedded], queries: NDArray[np.int64]) -> None:
    """A row for each query: the image, then its nearest others with their cosine similarity."""
    vectors = np.stack([answer.embedding for answer in answers])
    figure = Figure(figsize=(1.1 * (_HITS + 1) + 0.3, 1.28 * len(queries)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(queries), _HITS + 2, width_ratios=[1, 0.12, *[1] * _HITS], squeeze=False)
    for line, query in enumerate(queries):
        scores = vectors @ vectors[query]
        scores[query] = -np.inf
        hits = np.argsort(-scores, kind="stable")[:_HITS]
        _show(panels[line, 0], Image.open(BytesIO(files[query])).convert("RGB"))
        panels[line, 0].set_xlabel("query", fontsize=7, labelpad=2)
        panels[line, 1].axis("off")
        for column, hit in enumerate(hits, start=2):
            _show(panels[line, column], Image.open(BytesIO(files[hit])).convert("RGB"))
            panels[line, column].set_xlabel(f"{scores[hit]:.2f}", fontsize=7, labelpad=2)
    figure.savefig(IMAGES / "neighbours.png", dpi=_DPI, metadata={"Software": None})


def _show(axes: Axes, picture: Image.Image) -> None:
    # Grey ones pale, so that how dark a colour is tells of the map over them; RGB ignores these arguments.
    extent = (0, picture.width, picture.height, 0)
    axes.imshow(np.asarray(picture), extent=extent, interpolation="nearest", cmap="gray", vmin=-255, vmax=255)
    axes.set_xticks([])
    axes.set_yticks([])


if __name__ == "__main__":
    typer.run(main)
