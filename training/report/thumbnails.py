"""Images and MI maps as small pictures that a page holds in itself."""

from io import BytesIO

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image

from training.report.theme import data_uri

# Blue below zero, red above, white between: the colours of the service's heat maps.
COLOURS = "RdBu_r"
_SIDE = 128
_OVERLAY = 0.6
_QUALITY = 88


def thumbnail(pixels: NDArray[np.uint8]) -> str:
    """Encode uint8 [H, W, 3] as a data URI."""
    return _encoded(Image.fromarray(pixels))


def heat_map(pixels: NDArray[np.uint8], mi_map: NDArray[np.float32], reach: float) -> str:
    """Draw a map [M, M] over its image [H, W, 3] as a data URI; colours go from -reach to reach nats."""
    factor = max(1, _SIDE // pixels.shape[1])
    size = (factor * pixels.shape[1], factor * pixels.shape[0])
    image = Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST)
    # Pale, so that how dark a colour is tells of the map and not of the image.
    grey = np.asarray(image.convert("L"), np.float32)[:, :, None] / 510 + 0.5
    field = Image.fromarray(mi_map).resize(image.size, Image.Resampling.BILINEAR)
    coloured = colormaps[COLOURS]((np.asarray(field) / reach + 1) / 2)[:, :, :3]
    mixed = (1 - _OVERLAY) * grey + _OVERLAY * coloured
    return _encoded(Image.fromarray((mixed * 255).round().astype(np.uint8)))


def colour_bar() -> str:
    """Draw the scale of the heat maps from left to right, as a data URI."""
    ramp = colormaps[COLOURS](np.linspace(0, 1, 256))[None, :, :3]
    mixed = (1 - _OVERLAY) * 0.75 + _OVERLAY * ramp
    return _encoded(Image.fromarray((mixed * 255).round().astype(np.uint8)).resize((256, 12)))


def _encoded(image: Image.Image) -> str:
    file = BytesIO()
    image.save(file, format="JPEG", quality=_QUALITY)
    return data_uri(file.getvalue(), "image/jpeg")
