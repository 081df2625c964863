"""A model's card in plain words, for the people who find its folder."""

from collections.abc import Iterator

from contract.card import Calibration, Int8Encoder, ModelCard, Quality, Training
from contract.counts import counted
from contract.map_measures import Attribution, Reliability
from contract.neighbour_measure import NeighbourMeasure
from contract.precision import InferenceCost
from contract.preprocessing import ResizeRule
from training.export.model_card import ADOPTED

_PROBES = {
    "linear": "linear",
    "knn": "{k} nearest neighbours, cosine",
    "weighted_knn": "{k} nearest neighbours, weight exp(cosine / 0.07)",
    "svm": "linear SVM",
    "nonlinear": "one hidden layer",
}
_RESIZED: dict[ResizeRule, str] = {
    "stretch": "stretched from whatever size they have",
    "center_crop": "scaled by the shorter side and cut to the middle",
    "letterbox": "scaled by the longer side, with borders beside the shorter one",
}


def readme(card: ModelCard) -> str:
    """Write Markdown that says what the model is, what was measured and what it is not good for."""
    return "\n".join(_lines(card)) + "\n"


def _lines(card: ModelCard) -> Iterator[str]:
    yield f"# {card.id}"
    yield ""
    yield card.summary
    yield ""
    maps = card.model_copy(update={"neighbours": None}) != card.as_exported
    later = [name for name, stated in (("maps", maps), ("neighbours", card.neighbours)) if stated]
    copied = f"and, but for what its {' and '.join(later)} are worth," if later else "and"
    yield f"All of this stands in `card.json` too, {copied} in the metadata of both graphs."
    yield ""
    yield "## What it computes"
    yield ""
    shapes, grid = card.shapes, card.patch_grid
    side = f"{card.preprocessing.width} x {card.preprocessing.height}"
    yield f"- Input: images of {side} pixels, {_RESIZED[card.preprocessing.resize_rule]}."
    if card.preprocessing.color_profile == "srgb":
        yield "- Colours of embedded ICC profiles are converted to sRGB."
    yield (
        f"- `embedding`: {shapes.embedding} numbers of length one, the principal components of the layer "
        f"`{card.embedding_layer}`, strongest first, whitened in part; "
        f"`code`: {shapes.code} numbers, E(x)."
    )
    yield (
        f"- MI map: {grid.rows} x {grid.columns} patches, each of which sees {grid.receptive_field:g} x "
        f"{grid.receptive_field:g} pixels of the input, in nats."
    )
    yield f"- {card.encoder_macs / 1e6:,.1f} million multiply-accumulates for one image."
    yield ""
    yield "## How good it was measured to be"
    yield ""
    yield from _quality(card.quality)
    yield ""
    yield "## What its nats are worth"
    yield ""
    yield from _calibration(card.calibration)
    yield ""
    if card.attribution is not None:
        yield "## What its maps are worth"
        yield ""
        yield from _attribution(card.attribution)
        yield ""
        if card.reliability is not None:
            yield from _reliability(card.reliability)
            yield ""
    if card.neighbours is not None:
        yield "## What its neighbours are worth"
        yield ""
        yield _neighbours(card.neighbours)
        yield ""
    if card.inference is not None:
        yield "## What it costs to run"
        yield ""
        yield from _cost(card.inference, card.int8)
        yield ""
    if card.int8 is not None:
        yield "## What 8 bits lose"
        yield ""
        yield from _loss(card.int8, card.calibration)
        yield ""
    yield "## Where it comes from"
    yield ""
    yield from _origin(card.training)
    yield f"- Exported {card.created:%Y-%m-%d}, ONNX opset {card.opset}. Licence: {card.licence}."
    yield ""
    yield "## Limits"
    yield ""
    for limit in card.limits:
        yield f"- {limit}"


def _quality(quality: Quality) -> Iterator[str]:
    if not quality.scores:
        yield "The images have no labels, so no classifier was fitted."
        return
    yield (
        f"Accuracy on {quality.images:,} images ({quality.split}) that neither encoder nor classifier has "
        "seen. Every choice was made on training images."
    )
    yield ""
    yield "| classifier on the frozen layer | layer | dimensions | accuracy |"
    yield "| --- | --- | --- | --- |"
    for score in quality.scores:
        probe = _PROBES[score.probe].format(k=score.k)
        yield f"| {probe} | {score.layer} | {score.dimensions} | {score.accuracy:.2%} |"
    yield f"| always the most frequent class | | | {quality.majority:.2%} |"


def _calibration(measured: Calibration) -> Iterator[str]:
    yield (
        f"Measured on {measured.images:,} images ({measured.split}); the nats refer to {measured.joint}, "
        f"against a bank of {measured.bank} codes."
    )
    if measured.temperature is not None and measured.offset_nats is not None:
        yield (
            f"The critic's scores are divided by {measured.temperature:.2f}, and {measured.offset_nats:.2f} "
            "nats are taken off, as validation images chose."
        )
    yield ""
    yield "| figure | |"
    yield "| --- | --- |"
    yield f"| mean of the maps | {measured.mi_nats:.3f} ± {measured.mi_standard_error:.3f} nats |"
    yield f"| lower bound (InfoNCE) | {measured.lower_bound_nats:.3f} nats |"
    yield f"| change with another bank | {measured.bank_error_nats:.3f} nats |"
    yield f"| mean with another image's code | {measured.shuffled_nats:.3f} nats |"
    yield f"| a patch scores higher with its own image's code | {measured.joint_auc:.1%} of the time |"
    yield f"| difference to the mirrored image's map | {measured.flip_error_nats:.3f} nats |"


def _attribution(measured: Attribution) -> Iterator[str]:
    places = tuple(measured.methods[0].pointing)
    yield (
        f"Measured by `infomax validate-maps` on {measured.images:,} images for each figure "
        f"({measured.split}). Deletion and insertion are cosines of the code to the whole image's where the "
        "highest cells are taken away, and where nothing else is left. Pointing is how often what was "
        "planted in a quadrant is the brightest of four; chance is 25 %."
    )
    yield ""
    yield f"| map | deletion | insertion |{''.join(f' points into {name} |' for name in places)}"
    yield "| --- | --- | --- |" + " --- |" * len(places)
    for one in measured.methods:
        curves = (f"{curve.mean:.3f} ± {curve.standard_error:.3f}" for curve in (one.deletion, one.insertion))
        shares = (f"{one.pointing[name]:.0%}" for name in places)
        yield f"| {' | '.join((one.method, *curves, *shares))} |"
    yield ""
    halves = measured.halves
    yield (
        f"Of {halves.images:,} images with halves of two, the right half is the brighter one in "
        f"{halves.cross:.1%} of the cross maps and {halves.contrast:.1%} of the contrast maps."
    )


def _reliability(measured: Reliability) -> Iterator[str]:
    yield f"Claimed nats of a patch against those observed on {measured.images:,} images ({measured.split}):"
    yield ""
    yield "| claimed | observed |"
    yield "| --- | --- |"
    for one in measured.bins:
        above = " (above log K)" if one.above_ceiling else ""
        yield f"| {one.claimed:.2f}{above} | {one.observed:.2f} ± {one.standard_error:.2f} |"


def _neighbours(measured: NeighbourMeasure) -> str:
    nearest = f"of the {measured.neighbours} nearest of each image"
    if measured.above is None:
        found = (
            f"No cosine makes a neighbour as likely of the same class as of another one: {nearest}, "
            f"{measured.below or 0:.0%} were."
        )
    else:
        below = "" if measured.below is None else f" and {measured.below:.0%} with less"
        found = (
            f"From a cosine of {measured.cosine:.2f} on, a neighbour is at least as likely of the same class "
            f"as of another one: {nearest}, {measured.above:.0%} with this cosine or more{below} were."
        )
    return (
        f"{found} Measured by `infomax validate-neighbours` on {measured.images:,} images ({measured.split})."
    )


def _cost(fp32: InferenceCost, int8: Int8Encoder | None) -> Iterator[str]:
    threads = f"{fp32.threads} {'thread' if fp32.threads == 1 else 'threads'}"
    yield (
        f"Images per second on {threads} of {fp32.processor}, with onnxruntime {fp32.runtime} and its "
        f"{fp32.provider}; decoding and serving come on top."
    )
    yield ""
    encoders = [("fp32", fp32)] + ([("int8", int8.inference)] if int8 else [])
    yield f"| images in a batch |{''.join(f' {name} |' for name, _ in encoders)}"
    yield "| --- |" + " --- |" * len(encoders)
    for row in zip(*(cost.speeds for _, cost in encoders), strict=True):
        yield f"| {row[0].batch} |{''.join(f' {speed.images_per_second:,.0f} |' for speed in row)}"


def _loss(int8: Int8Encoder, fp32_maps: Calibration) -> Iterator[str]:
    loss = int8.loss
    yield (
        f"`{int8.weights.file}` is the same encoder in 8 bits ({int8.scheme}), its ranges read off "
        f"{int8.calibration_images} training images. Measured on {loss.images:,} images ({loss.split}):"
    )
    yield ""
    yield "| figure | fp32 | int8 |"
    yield "| --- | --- | --- |"
    if loss.knn_fp32 is not None and loss.knn_int8 is not None:
        yield f"| nearest neighbours by the embedding | {loss.knn_fp32:.2%} | {loss.knn_int8:.2%} |"
    if loss.linear_fp32 is not None and loss.linear_int8 is not None:
        yield f"| linear classifier of the embedding | {loss.linear_fp32:.2%} | {loss.linear_int8:.2%} |"
    yield f"| mean of the MI maps, nats | {fp32_maps.mi_nats:.3f} | {int8.maps.mi_nats:.3f} |"
    yield (
        "| mean cosine between the embeddings of one image | "
        f"| {loss.mean_cosine:.4f}, at least {loss.least_cosine:.4f} |"
    )


def _origin(training: Training) -> Iterator[str]:
    if training.recipe == ADOPTED:
        yield (
            "- The encoder was adopted as it is. Embedding, critic and calibration were fitted, without "
            f"labels, to {training.images:,} images: {training.data}."
        )
        yield "- How that was done is in the card, complete: architecture, layers, normalisation, seed."
        return
    yield f"- Trained without labels on {training.images:,} images: {training.data}."
    yield (
        f"- Recipe `{training.recipe}` (estimator {training.estimator}, critic {training.critic}), "
        f"{counted(training.epochs, 'epoch')}, seed {training.seed}; the recipe is in the card, complete."
    )
    minutes = counted(training.seconds / 60, "minute", ",.0f")
    yield f"- {minutes} on {training.hardware}, torch {training.torch}."
