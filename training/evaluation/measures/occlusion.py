"""Occlusion: what the code of a partly covered image still says of the whole one.

Hjelm et al. 2019 (the section on coordinate information and occlusions) train with the code of a partly
covered image, scored against the local features of the uncovered one. Here it is measured whether the frozen
encoder can do that. The covered part is always the central square of half the height
and width, a quarter of the area, painted in the mean colour of the training images. Figures, each on
held-out images:

- **Identified**: the share of covered images whose code is nearer to the uncovered code of the same image
  than to that of any other. Nearness is the cosine of codes less the mean training code. Chance is 1 / N.
- **Hidden patches**: the InfoNCE bound, in nats, on the information between the code of the covered image and
  local features of the uncovered one. It is a mean over those patches whose own cell lies under the cover. A
  critic like the served one is fitted on training images. Beside it, as its limit,
  stands log B for the B images that it picks from. The same of the uncovered code says how much there was
  to keep.
- **Accuracy**: of a linear probe that was fitted on uncovered codes, on covered images; with labels only.
  The share of it that is kept is this accuracy over that on the same images uncovered.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from numpy.typing import NDArray
from torch import Tensor

from training.data.pixel_rows import PixelArray
from training.evaluation.measures.figure import Figure
from training.evaluation.measures.fitting import FitSchedule, fit, parts
from training.evaluation.measures.inputs import Layers, MeasureInputs
from training.evaluation.probes import fit_linear
from training.evaluation.quality import shared_labels
from training.model.serving_critic import ServingCritic, held_out_bound, infonce_loss
from training.recipe import OptimiserRecipe

_SCHEDULE = FitSchedule(10, OptimiserRecipe(learning_rate=2e-3, weight_decay=1e-2))
_PICKED_FROM = 512
_QUERIES_AT_ONCE = 1_000


def measure(inputs: MeasureInputs) -> list[Figure]:
    """Measure all figures of the module's docstring, those of classes with labels only.

    Raises:
        DataError: the labels of the two sets do not fit together.
    """
    seen = inputs.training.pixels[: inputs.maps[0]]
    colour = seen.mean(axis=(0, 1, 2)).round().astype(np.uint8)
    covered = inputs.encode(
        covered_images(seen, colour),
        covered_images(inputs.test.pixels, colour),
        "code",
    )
    images = len(covered.test)
    mean = inputs.code.training.mean(dim=0)
    figures = [
        Figure(
            measure="occlusion",
            name="covered images identified",
            value=identified(covered.test - mean, inputs.code.test - mean),
            unit="share",
            chance=1 / images,
            limit=1.0,
            images=images,
        ),
    ]
    if inputs.training.labels is not None and inputs.test.labels is not None:
        figures += _accuracy(inputs, covered.test)
    return figures + _hidden_patches(inputs, covered)


def covered_images(pixels: PixelArray, colour: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Copy uint8 [N, H, W, 3] with the central square in one colour, uint8 [3]."""
    height, width = pixels.shape[1:3]
    covered = np.array(pixels)
    covered[:, height // 4 : height - height // 4, width // 4 : width - width // 4] = colour
    return covered


def identified(queries: Tensor, keys: Tensor) -> float:
    """Measure the share of queries [N, D] that are nearest by cosine to their own key [N, D]."""
    unit_keys, right = F.normalize(keys, dim=1), 0
    for rows in torch.arange(len(queries)).split(_QUERIES_AT_ONCE):
        similarity = F.normalize(queries[rows], dim=1) @ unit_keys.T
        own = similarity.gather(1, rows.unsqueeze(1))
        # Equal codes identify nothing: the own one counts among those that are as near.
        right += int(((similarity >= own).sum(dim=1) == 1).sum())
    return right / len(queries)


def _hidden_patches(inputs: MeasureInputs, covered: Layers) -> list[Figure]:
    features = Layers(hidden(inputs.features.training), hidden(inputs.features.test))
    fitted, measured = inputs.maps
    whole = Layers(inputs.code.training[:fitted], inputs.code.test[:measured])
    partial = Layers(covered.training, covered.test[:measured])
    picked_from = min(_PICKED_FROM, measured)
    return [
        Figure(
            measure="occlusion",
            name=f"hidden patches told from the {name} code",
            value=_information(features, code, inputs, f"hidden patches, {name}", picked_from),
            unit="nats",
            limit=math.log(picked_from),
            images=measured,
        )
        for name, code in (("covered", partial), ("uncovered", whole))
    ]


def hidden(features: Tensor) -> Tensor:
    """Take those patches of [N, C, M, M] whose cell of pixels lies under the cover: [N, C, K, K].

    A patch sees beyond its cell, so a little around the cover may be seen in it.
    """
    side = features.shape[2]
    start = math.ceil(side / 4)
    return features[:, :, start : side - start, start : side - start]


def _information(
    features: Layers, code: Layers, inputs: MeasureInputs, title: str, picked_from: int
) -> float:
    """Compute the held-out InfoNCE bound in nats of a critic fitted and chosen on training images."""
    fitted, chosen = parts(len(code.training), inputs.seed)
    torch.manual_seed(inputs.seed)
    critic = ServingCritic(features.test.shape[1], code.test.shape[1])
    critic.standardise(features.training[fitted], code.training[fitted])
    held_out = features.training[chosen], code.training[chosen]

    def loss(rows: Tensor) -> Tensor:
        return infonce_loss(critic, features.training[rows], code.training[rows])

    def score() -> float:
        return held_out_bound(critic, *held_out, picked_from)

    fit(
        critic,
        fitted,
        loss,
        score,
        _SCHEDULE,
        seed=inputs.seed,
        title=title,
        interruption=inputs.interruption,
    )
    return held_out_bound(critic, features.test, code.test, picked_from)


def _accuracy(inputs: MeasureInputs, covered: Tensor) -> list[Figure]:
    labels, truth = (torch.from_numpy(each) for each in shared_labels(inputs.training, inputs.test))
    probe = fit_linear(
        inputs.code.training, labels, len(inputs.training.class_names), inputs.seed, "linear Y"
    )
    most_frequent = float((truth == labels.bincount().argmax()).float().mean())
    kept, whole = probe.accuracy(covered, truth), probe.accuracy(inputs.code.test, truth)
    values = {
        "linear accuracy on covered images": (kept, most_frequent, 1.0),
        "linear accuracy on uncovered images": (whole, most_frequent, 1.0),
        "share of accuracy kept": (kept / max(whole, 1e-12), None, None),
    }
    return [
        Figure(
            measure="occlusion",
            name=name,
            value=value,
            unit="share",
            chance=chance,
            limit=limit,
            images=len(truth),
        )
        for name, (value, chance, limit) in values.items()
    ]
