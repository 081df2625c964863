"""Images that every server is sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
from PIL import Image

SAMPLES = Path(__file__).parents[2] / "tests" / "data"
# A third each: a thumbnail for the web, a screenful, a picture of a 12-megapixel camera.
PHOTOGRAPH_SIZES = ((640, 480), (1920, 1280), (4000, 3000))
_EACH = 4
_TILES = (6, 8)
_NOISE = 6.0
_QUALITY = 90


@dataclass(frozen=True)
class ImageSet:
    """Encoded images of one kind.

    Attributes:
        name: the kind, for tables.
        files: JPEG files.
    """

    name: str
    files: tuple[bytes, ...]


def small(folder: Path = SAMPLES) -> ImageSet:
    """Read the 400 real CIFAR-10 images of the tests, 32 x 32 pixels and about a kilobyte each."""
    tables = [parquet.read_table(path, columns=["img"]) for path in sorted(folder.glob("*.parquet"))]
    columns = [table.flatten()["img.bytes"] for table in tables]
    files = tuple(file for column in columns for file in column.to_pylist() if file)
    if not files:
        raise FileNotFoundError(f"{folder} has no Parquet file with images.")
    return ImageSet("small", files)


def photographs(
    originals: Sequence[bytes], sizes: Sequence[tuple[int, int]] = PHOTOGRAPH_SIZES, seed: int = 0
) -> ImageSet:
    """Make JPEGs as large as photographs, the same ones at every call.

    Real photographs are not shipped. These are mosaics of small images, scaled up smoothly, with a sensor's
    noise. The cost of decoding depends on size, detail and quality, and those are a camera's.

    Args:
        originals: small images, encoded.
        sizes: widths and heights in pixels; a few images are made of each.
        seed: seed of the tiles and the noise.
    """
    rng = np.random.default_rng(seed)
    files = [_photograph(originals, size, rng) for size in sizes for _ in range(_EACH)]
    # Shuffled, so that large images do not come together.
    return ImageSet("photographs", tuple(files[place] for place in rng.permutation(len(files))))


def _photograph(originals: Sequence[bytes], size: tuple[int, int], rng: np.random.Generator) -> bytes:
    rows, columns = _TILES
    chosen = rng.choice(len(originals), rows * columns, replace=len(originals) < rows * columns)
    tiles = [np.asarray(Image.open(BytesIO(originals[place])).convert("RGB")) for place in chosen]
    mosaic = np.vstack([np.hstack(tiles[row * columns : (row + 1) * columns]) for row in range(rows)])
    enlarged = np.asarray(Image.fromarray(mosaic).resize(size, Image.Resampling.BICUBIC), np.float32)
    noisy = enlarged + _NOISE * rng.standard_normal(enlarged.shape, np.float32)
    file = BytesIO()
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()
