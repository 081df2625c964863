"""Deletion and insertion: what is left of a code without, and with nothing but, the highest cells of a map.

The shares are an eighth, a quarter and a half. Deletion turns the highest cells grey; insertion turns all
others grey. Either is the cosine of the centred code to that of the whole image. Less is better for deletion
and more for insertion (Petsiuk et al. 2018, section 3.3, with a cosine in place of a class's probability).
"""

import numpy as np
from numpy.typing import NDArray

from contract.map_measures import Curve
from training.evaluation.maps.subject import Floats, Pixels, Subject

SHARES = (1 / 8, 1 / 4, 1 / 2)
Cosines = NDArray[np.float64]


def curves(subject: Subject, maps: Floats, pixels: Pixels, codes: Floats) -> tuple[Cosines, Cosines]:
    """Measure deletion and insertion, each float [N, shares].

    Args:
        subject: the model.
        maps: float [N, M, M], one for each image.
        pixels: uint8 [N, H, W, 3].
        codes: of the images, [N, Y].
    """
    of_cell = subject.cells.by_cell(maps)
    order = np.argsort(-of_cell, axis=1, kind="stable")
    deletion: list[Cosines] = []
    insertion: list[Cosines] = []
    for share in SHARES:
        highest = np.zeros(of_cell.shape, np.bool_)
        np.put_along_axis(highest, order[:, : round(share * of_cell.shape[1])], True, axis=1)
        for chosen, curve in ((~highest, deletion), (highest, insertion)):
            curve.append(subject.similarity(subject.codes(subject.cells.only(pixels, chosen)), codes))
    return np.stack(deletion, axis=1), np.stack(insertion, axis=1)


def summary(values: NDArray[np.floating]) -> Curve:
    """Summarise the cosines of all images, [N, shares]."""
    areas = values.mean(axis=1)
    return Curve(
        cosines=tuple(values.mean(axis=0).tolist()),
        mean=float(areas.mean()),
        standard_error=float(areas.std(ddof=1) / np.sqrt(len(areas))),
    )
