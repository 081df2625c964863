"""A model's card in plain words, for the people who find its folder."""

from collections.abc import Iterator

from contract.card import Calibration, ModelCard, Quality, Training


def readme(card: ModelCard) -> str:
    """Markdown that says what the model is, what was measured and what it is not good for."""
    return "\n".join(_lines(card)) + "\n"


def _lines(card: ModelCard) -> Iterator[str]:
    yield f"# {card.id}"
    yield ""
    yield card.summary
    yield ""
    yield "All of this stands in `card.json` too, and in the metadata of both graphs."
    yield ""
    yield "## What it computes"
    yield ""
    shapes, grid = card.shapes, card.patch_grid
    side = f"{card.preprocessing.width} x {card.preprocessing.height}"
    yield f"- Input: images of {side} pixels, stretched from whatever size they have."
    yield (
        f"- `embedding`: {shapes.embedding} numbers, the layer `{card.embedding_layer}` at unit length; "
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
        probe = "linear" if score.probe == "linear" else f"{score.k} nearest neighbours, cosine"
        yield f"| {probe} | {score.layer} | {score.dimensions} | {score.accuracy:.2%} |"
    yield f"| always the most frequent class | | | {quality.majority:.2%} |"


def _calibration(measured: Calibration) -> Iterator[str]:
    yield (
        f"Measured on {measured.images:,} images ({measured.split}); the nats refer to {measured.joint}, "
        f"against a bank of {measured.bank} codes."
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


def _origin(training: Training) -> Iterator[str]:
    yield f"- Trained without labels on {training.images:,} images: {training.data}."
    yield (
        f"- Recipe `{training.recipe}` (estimator {training.estimator}, critic {training.critic}), "
        f"{training.epochs} epochs, seed {training.seed}; the recipe is in the card, complete."
    )
    yield f"- {training.seconds / 60:,.0f} minutes on {training.hardware}, torch {training.torch}."
