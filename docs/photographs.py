"""Picture of twelve photographs of three domains: what their codes are built on, and what is near them.

python -m docs.photographs IMAGES POOL.parquet

IMAGES is the folder `skimage/data` of scikit-image 0.26, whose photographs are in the public domain or CC0.
The photographs of clothes are the page's examples. Neighbours are looked for among the page's sample images
and those of a Parquet file, by label.
"""

import asyncio
import base64
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import typer
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from contract.images import open_rgb
from contract.placement import place
from docs.pictures import IMAGES, embed_files, encoded_images
from service.inference.pipeline import Pipeline
from service.inference.results import Embedded, Want
from service.outputs.map_overlay import MapPlace, overlaid
from service.settings import load_settings
from training.data.opening import open_source

DOMAINS = {
    "clothes": ("example-dress.jpg", "example-hat.jpg", "example-shoes.jpg", "example-shirt.jpg"),
    "people, animals, things": ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg"),
    "textures and science": ("brick.png", "gravel.png", "retina.jpg", "ihc.png"),
}
"""Rows of the picture."""

_CLOTHES = Path(__file__).parent.parent / "service" / "page"
_NEAREST, _HEIGHT, _DPI = 5, 224, 120


def main(images: Path, pool: Path) -> None:
    """Draw `photographs.png`, and print the labels of each photograph's neighbours."""
    folders = {"clothes": _CLOTHES}
    files = [(folders.get(domain, images) / name) for domain, names in DOMAINS.items() for name in names]
    photographs = [file.read_bytes() for file in files]
    samples = [json.loads(line) for line in (_CLOTHES / "samples.ndjson").read_text().splitlines()]
    labels = [one["metadata"]["label"] for one in samples] + _labels(pool)
    others = [base64.b64decode(one["image"]) for one in samples] + encoded_images(pool)
    pipeline = Pipeline(load_settings())
    queries = asyncio.run(embed_files(pipeline, photographs, Want.CONTRIBUTION))
    among = asyncio.run(embed_files(Pipeline(load_settings()), others, Want.EMBEDDING))
    vectors = np.stack([one.embedding for one in among])
    captions = []
    for file, query in zip(files, queries, strict=True):
        scores = vectors @ query.embedding
        hits = np.argsort(-scores, kind="stable")[:_NEAREST]
        found = Counter(labels[hit] for hit in hits).most_common()
        labelled = ", ".join(f"{count} {label}" for label, count in found)
        captions.append(f"{labelled}\ncosine {scores[hits[0]]:.2f}")
        typer.echo(f"{file.name}: {captions[-1]}")
    _draw(pipeline, photographs, queries, captions)


def _labels(pool: Path) -> list[str]:
    source = open_source(pool)
    if source.labels is None:
        raise SystemExit(f"{pool} has no labels.")
    return [source.class_names[label] for label in source.labels]


def _draw(
    pipeline: Pipeline, files: Sequence[bytes], answers: Sequence[Embedded], captions: Sequence[str]
) -> None:
    """Draw a row for each domain: each photograph beside its map of contributions, on one scale for all."""
    card, limits = pipeline.card, load_settings().image_limits
    maps: list[NDArray[np.float32]] = [one.contribution for one in answers if one.contribution is not None]
    reach = max(float(one.max()) for one in maps)
    columns = len(next(iter(DOMAINS.values())))
    figure = Figure(figsize=(3.1 * columns, 2.0 * len(DOMAINS)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(DOMAINS), columns, squeeze=False)
    for number, (data, values, caption) in enumerate(zip(files, maps, captions, strict=True)):
        rule = card.preprocessing
        image = open_rgb(data, limits, rule.background, rule.color_profile)
        shown = image.resize((round(image.width * _HEIGHT / image.height), _HEIGHT))
        over = overlaid(shown, values, MapPlace(image.size, card.patch_grid, place(rule, image.size)), reach)
        axes = panels[divmod(number, columns)]
        axes.imshow(np.concatenate([np.asarray(shown), np.asarray(over)], axis=1))
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_xlabel(caption, fontsize=7)
    for row, domain in enumerate(DOMAINS):
        panels[row, 0].set_ylabel(domain, fontsize=9)
    figure.savefig(IMAGES / "photographs.png", dpi=_DPI, metadata={"Software": None})


if __name__ == "__main__":
    typer.run(main)
