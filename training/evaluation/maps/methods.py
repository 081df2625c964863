"""Methods that a contribution map is compared with: those that cost nothing, and those that were candidates.

Each maps images to one value a patch, as `service` maps contributions: uint8 [N, H, W, 3] with features
[N, C, M, M] and codes [N, Y] to [N, M, M].
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from contract.occlusion import covered
from training.evaluation.maps.subject import Floats, Pixels, Subject

Method = Callable[[Subject, Pixels, Floats, Floats], Floats]
_RANDOM_COPIES = 128
_SEED = 0
# Of the least squares, as a share of the variance of one cell over the copies.
_RIDGE = 0.1


def information(subject: Subject, _pixels: Pixels, features: Floats, codes: Floats) -> Floats:
    """Map the pointwise MI with the own code."""
    return subject.information(features, codes)


def contribution(subject: Subject, _pixels: Pixels, features: Floats, _codes: Floats) -> Floats:
    """Map contributions as they are served."""
    return np.stack([subject.contribution(one) for one in features])


def centre(subject: Subject, pixels: Pixels, _features: Floats, _codes: Floats) -> Floats:
    """Map the nearness to the centre, the same for all images."""
    rows, columns = (np.arange(side) - (side - 1) / 2 for side in subject.grid)
    nearness = -(rows[:, None] ** 2 + columns**2).astype(np.float32)
    return np.repeat(nearness[None], len(pixels), axis=0)


def random(subject: Subject, pixels: Pixels, _features: Floats, _codes: Floats) -> Floats:
    """Map noise, smoothed over 3 x 3 patches, about as smooth as the maps that it is compared with."""
    rows, columns = subject.grid
    noise = np.random.default_rng(_SEED).standard_normal((len(pixels), rows + 2, columns + 2))
    windows = np.lib.stride_tricks.sliding_window_view(noise, (3, 3), axis=(1, 2))
    smooth: Floats = windows.mean(axis=(3, 4)).astype(np.float32)
    return smooth


def occlusion(subject: Subject, pixels: Pixels, _features: Floats, codes: Floats) -> Floats:
    """Map how far the centred code turns when each cell turns grey (Zeiler and Fergus 2014)."""
    return _by_copies(subject, pixels, codes, ~np.eye(len(subject.cells), dtype=np.bool_), lambda seen: -seen)


def alone(subject: Subject, pixels: Pixels, _features: Floats, codes: Floats) -> Floats:
    """Map how near the centred code comes when each cell alone is seen."""
    return _by_copies(subject, pixels, codes, np.eye(len(subject.cells), dtype=np.bool_), lambda seen: seen)


def shapley(subject: Subject, pixels: Pixels, _features: Floats, codes: Floats) -> Floats:
    """Map Shapley values by least squares over random sets of cells (Lundberg and Lee 2017)."""
    count = len(subject.cells)
    rng = np.random.default_rng(_SEED)
    half = np.zeros((_RANDOM_COPIES // 2, count), np.bool_)
    for row in half:
        row[rng.permutation(count)[: rng.integers(1, count)]] = True
    sets = np.concatenate([half, ~half])
    design = sets - sets.mean(axis=0)
    inner = design.T @ design + _RIDGE * len(sets) / 4 * np.eye(count)
    return _by_copies(
        subject,
        pixels,
        codes,
        sets,
        lambda seen: np.linalg.solve(inner, design.T @ (seen - seen.mean())),
    )


def single_patches(subject: Subject, _pixels: Pixels, features: Floats, codes: Floats) -> Floats:
    """Map how far the centred code turns when each patch of C(x) alone is replaced by the mean patch."""
    rows, columns = subject.grid
    keep = ~np.eye(rows * columns, dtype=np.bool_).reshape(-1, rows, columns)
    return np.stack(
        [
            -subject.similarity(subject.trunk_codes(covered(one, keep)), code).reshape(rows, columns)
            for one, code in zip(features, codes, strict=True)
        ]
    ).astype(np.float32)


BASELINES: dict[str, Method] = {
    "information": information,
    "centre prior": centre,
    "random, smoothed": random,
    "occlusion": occlusion,
}
"""What a contribution map has to be better than."""
CANDIDATES: dict[str, Method] = {
    "one cell alone": alone,
    "Shapley, 128 sets": shapley,
    "single patches of C(x)": single_patches,
}
"""What else was tried; see `docs/mi-maps.md`."""


def _by_copies(
    subject: Subject,
    pixels: Pixels,
    codes: Floats,
    kept: NDArray[np.bool_],
    combine: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> Floats:
    """Map by the similarity of codes to those of copies, [K], combined to one value a cell.

    `kept`, bool [K, cells], are the cells that each copy keeps.
    """
    maps = []
    for image, code in zip(pixels, codes, strict=True):
        seen = subject.similarity(subject.codes(subject.cells.only(image, kept)), code)
        maps.append(subject.cells.by_patch(combine(seen)))
    return np.stack(maps)
