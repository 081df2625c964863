"""Validation of a model's maps: every claim with its bar, as `infomax validate-maps` writes it."""

from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict

from contract.map_kinds import MapKind
from contract.map_measures import Attribution, Bin, Halves, MethodAttribution, Reliability
from contract.precision import Precision
from contract.progress import Progress
from training.errors import DataError
from training.evaluation.maps import planted, reliability
from training.evaluation.maps.attribution import Cosines, curves, summary
from training.evaluation.maps.methods import BASELINES, CANDIDATES, contribution
from training.evaluation.maps.subject import Floats, Pixels, Subject

_CONTRIBUTION = MapKind.CONTRIBUTION.value
_WHOLE = "whole"
_CENTRE = "centre prior"
_OCCLUSION = "occlusion"
_POINTING_BAR = 0.6
_HALVES_BAR = 0.99
_FEWEST_IMAGES = 24


class Bar(BaseModel):
    """One claim: its value, what it has to be, and whether it is.

    Attributes:
        name: of the claim.
        value: measured.
        standard_error: of the value.
        bar: the value may not be lower.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    value: float
    standard_error: float
    bar: float

    @property
    def met(self) -> bool:
        """Whether the value is not below the bar."""
        return self.value >= self.bar


class Validation(BaseModel):
    """Everything that was measured of one model's maps.

    Attributes:
        model: its id.
        precision: of the encoder.
        split: which images, in words.
        images: number of images of deletion and insertion, and of each kind of planted quadrant.
        contribution_cost: images that are encoded for one map.
        attribution: of each method.
        halves: of cross maps and contrast.
        position_nats: mean information by position, rows of columns, in nats: what a map shows of any image.
        reliability: of the nats.
        reliability_images: number of images behind it.
        bars: the claims.
    """

    model_config = ConfigDict(frozen=True)

    model: str
    precision: Precision
    split: str
    images: int
    contribution_cost: int
    attribution: tuple[MethodAttribution, ...]
    halves: Halves
    position_nats: tuple[tuple[float, ...], ...]
    reliability: tuple[Bin, ...]
    reliability_images: int
    bars: tuple[Bar, ...]

    @property
    def for_card(self) -> tuple[Attribution, Reliability | None]:
        """What a card states: kinds of maps and baselines, without variants, and bins if there are any."""
        methods = tuple(one for one in self.attribution if one.method in (_CONTRIBUTION, *BASELINES))
        attribution = Attribution(split=self.split, images=self.images, methods=methods, halves=self.halves)
        if not self.reliability:
            return attribution, None
        return attribution, Reliability(
            split=self.split, images=self.reliability_images, bins=self.reliability
        )


def validate(
    subject: Subject, pixels: Pixels, *, split: str, images: int, pairs: int, seed: int, candidates: bool
) -> Validation:
    """Measure a model's maps on images that nothing was fitted to.

    Args:
        subject: the model.
        pixels: uint8 [N, H, W, 3].
        split: which images these are, in words.
        images: that deletion and insertion, and each kind of planted quadrant, are measured on.
        pairs: images that are joined to halves, and whose pairs the reliability is measured on.
        seed: of draws and noise.
        candidates: also measure the methods that were tried and are not served.

    Raises:
        DataError: there are too few images.
    """
    if len(pixels) < _FEWEST_IMAGES:
        raise DataError(
            f"{len(pixels)} images are too few to validate maps; at least {_FEWEST_IMAGES} are needed."
        )
    drawn = pixels[np.random.default_rng(seed).permutation(len(pixels))]
    images = min(images, len(drawn) // 3)
    tests = _tests(drawn[: 3 * images], seed)
    encoded = {name: subject.features_and_codes(test.pixels) for name, test in tests.items()}
    methods = {_CONTRIBUTION: contribution, **BASELINES, **(CANDIDATES if candidates else {})}
    found: list[MethodAttribution] = []
    areas: dict[str, tuple[Cosines, Cosines]] = {}
    with Progress("maps") as progress:
        for number, (name, method) in enumerate(methods.items()):
            maps = {key: method(subject, test.pixels, *encoded[key]) for key, test in tests.items()}
            for label, of_tests in _variants(name, maps).items():
                areas[label] = curves(subject, of_tests[_WHOLE], tests[_WHOLE].pixels, encoded[_WHOLE][1])
                deletion, insertion = (summary(one) for one in areas[label])
                pointing = {
                    key: float((planted.brightest(of_tests[key]) == test.quadrants).mean())
                    for key, test in tests.items()
                    if test.quadrants is not None
                }
                found.append(
                    MethodAttribution(method=label, deletion=deletion, insertion=insertion, pointing=pointing)
                )
            progress.update(number + 1, len(methods), name)
    halves = _halves(subject, drawn[: 2 * min(pairs, len(drawn) // 2)])
    position = subject.information(*encoded[_WHOLE]).mean(axis=0, dtype=np.float64)
    return Validation(
        model=subject.card.id,
        precision=subject.precision,
        split=split,
        images=images,
        contribution_cost=1 + len(subject.occlusion),
        attribution=tuple(found),
        halves=halves,
        position_nats=tuple(tuple(row) for row in position.tolist()),
        reliability=reliability.measure(subject, drawn[:pairs]),
        reliability_images=min(pairs, len(drawn)),
        bars=tuple(_bars(found, areas, halves, images)),
    )


@dataclass(frozen=True)
class _Test:
    """Images uint8 [N, H, W, 3], and the quadrant of each in which there is something, where that is so."""

    pixels: Pixels
    quadrants: planted.Rows | None = None


def _tests(drawn: Pixels, seed: int) -> dict[str, _Test]:
    """Make whole images of the first third; the others are planted, or stand around what is planted."""
    whole, sources, others = np.split(drawn, 3)
    plants = {
        name: _Test(*planted.planted(name, sources, others, seed + place))
        for place, name in enumerate(planted.SURROUNDINGS)
    }
    return {_WHOLE: _Test(whole), **plants}


def _variants(name: str, maps: dict[str, Floats]) -> dict[str, dict[str, Floats]]:
    """Take maps as they are, and those of a kind that is served also apart from their position's mean."""
    if name not in (_CONTRIBUTION, MapKind.INFORMATION.value):
        return {name: maps}
    mean = maps[_WHOLE].mean(axis=0)
    return {
        name: maps,
        f"{name} less its position's mean": {key: one - mean for key, one in maps.items()},
        f"position's mean of {name}": {key: np.zeros_like(one) + mean for key, one in maps.items()},
    }


def _halves(subject: Subject, drawn: Pixels) -> Halves:
    """Join the halves of two images, [2 N, H, W, 3], and ask which half speaks for the first."""
    left, right = drawn[: len(drawn) // 2], drawn[len(drawn) // 2 :]
    features, codes = subject.features_and_codes(planted.halved(left, right))
    first, second = subject.codes(left), subject.codes(right)
    cross = subject.information(features, first)
    # Against one other code, contrast is the difference of two maps: the normalisers cancel.
    contrast = subject.information(features, codes) - subject.information(features, second)
    shares = [float(planted.left_is_brighter(maps).mean()) for maps in (cross, contrast)]
    return Halves(cross=shares[0], contrast=shares[1], images=len(left))


def _bars(
    found: list[MethodAttribution], areas: dict[str, tuple[Cosines, Cosines]], halves: Halves, images: int
) -> list[Bar]:
    """State the claims: differences of areas are paired over images, and more is better."""
    (served,) = (one for one in found if one.method == _CONTRIBUTION)
    bars = []
    for other in (_OCCLUSION, _CENTRE):
        for place, (curve, sign) in enumerate((("deletion", -1), ("insertion", 1))):
            gain = sign * (areas[_CONTRIBUTION][place] - areas[other][place]).mean(axis=1)
            bars.append(
                Bar(
                    name=f"contribution against {other}, {curve}",
                    value=float(gain.mean()),
                    standard_error=float(gain.std(ddof=1) / np.sqrt(len(gain))),
                    bar=0.0,
                )
            )
    shares = {f"contribution points into {name}": (share, images) for name, share in served.pointing.items()}
    claims = {name: (share, count, _POINTING_BAR) for name, (share, count) in shares.items()}
    claims["cross map picks its half"] = (halves.cross, halves.images, _HALVES_BAR)
    claims["contrast picks its half"] = (halves.contrast, halves.images, _HALVES_BAR)
    bars += [
        Bar(name=name, value=share, standard_error=float(np.sqrt(share * (1 - share) / count)), bar=bar)
        for name, (share, count, bar) in claims.items()
    ]
    return bars
