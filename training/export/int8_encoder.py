"""The int8 encoder of a model: made, measured against the fp32 one, and described for the card."""

from dataclasses import dataclass

import onnx
import onnxruntime

from contract.card import INT8_ENCODER_FILE, Int8Encoder
from contract.precision import InferenceCost, PrecisionLoss
from training.data import ImageSet
from training.data.pixel_rows import PixelArray
from training.evaluation.frozen import FrozenEncoder, exported
from training.export import calibration
from training.export.golden import int8_golden
from training.export.onnx_files import digest, session_of
from training.export.precision_loss import check_loss, measure_loss
from training.export.quantise import CALIBRATION_IMAGES, SCHEME, quantise
from training.export.score_scaling import Scaling

_EXAMPLES = 64


@dataclass(frozen=True)
class Int8ImageSets:
    """Images that an int8 encoder is made and measured with.

    Attributes:
        fitted: that the model was fitted to; the ranges of the activations are read off them.
        training: all that it was trained on; classifiers are fitted on them.
        held_out: that nothing was fitted to.
        split: what the card calls those.
    """

    fitted: ImageSet
    training: ImageSet
    held_out: ImageSet
    split: str


@dataclass(frozen=True)
class Quantised:
    """An int8 encoder that loses no more than is allowed.

    Attributes:
        model: its graph.
        calibration_images: that its ranges were read off.
        loss: against the fp32 encoder.
    """

    model: onnx.ModelProto
    calibration_images: int
    loss: PrecisionLoss

    @property
    def frozen(self) -> FrozenEncoder:
        return exported(session_of(self.model))


def make(fp32: onnx.ModelProto, sets: Int8ImageSets, seed: int, largest_loss: float) -> Quantised:
    """Quantise an encoder and measure what that loses.

    Args:
        fp32: the encoder graph.
        sets: images to do it with.
        seed: of the images that give the ranges, and of the classifiers that measure the loss.
        largest_loss: that is allowed, in percentage points.

    Raises:
        ExportError: it loses more.
        DataError: the labels of the sets do not fit together.
    """
    model = quantise(fp32, sets.fitted.pixels, seed)
    loss = measure_loss(
        exported(session_of(fp32)),
        exported(session_of(model)),
        sets.training,
        sets.held_out,
        split=sets.split,
        seed=seed,
    )
    check_loss(loss, largest_loss)
    return Quantised(model, min(len(sets.fitted), CALIBRATION_IMAGES), loss)


def describe(
    quantised: Quantised,
    critic: onnxruntime.InferenceSession,
    held_out: PixelArray,
    bank_images: PixelArray,
    inference: InferenceCost,
    *,
    bank_size: int,
    scaling: Scaling,
    split: str,
    seed: int,
) -> Int8Encoder:
    """Describe an int8 encoder for the card.

    Args:
        quantised: the encoder.
        critic: session over the model's critic, which was fitted on the fp32 encoder and stays as it is.
        held_out: uint8 [N, H, W, 3]; the first is the golden one.
        bank_images: uint8 [K, H, W, 3], training images whose codes are an independent bank.
        inference: what the int8 encoder costs to run.
        bank_size: codes in the critic's own bank.
        scaling: of the critic's graph.
        split: name of the held-out images for the card.
        seed: of the pairs of different images that the maps are measured with.
    """
    encoder = quantised.frozen
    maps = calibration.measure(
        encoder,
        critic,
        held_out,
        encoder.encode(bank_images, ("code",))["code"],
        bank_size=bank_size,
        scaling=scaling,
        split=split,
        seed=seed,
    )
    return Int8Encoder(
        weights=digest(quantised.model, INT8_ENCODER_FILE),
        scheme=SCHEME,
        calibration_images=quantised.calibration_images,
        loss=quantised.loss,
        maps=maps,
        inference=inference,
        golden=int8_golden(quantised.model, critic, held_out[:_EXAMPLES]),
    )
