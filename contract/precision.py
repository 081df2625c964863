"""The precisions that an encoder may come in: what each costs to run, and what the lower one loses."""

from typing import Literal

from pydantic import Field

from contract.card_part import CardPart

Precision = Literal["fp32", "int8"]


class Speed(CardPart):
    """How fast one size of batch is computed."""

    batch: int = Field(ge=1)
    images_per_second: float = Field(gt=0)


class InferenceCost(CardPart):
    """How fast an encoder graph runs on one machine: decoding and serving come on top.

    Attributes:
        provider: execution provider of ONNX Runtime.
        processor: its name, and the instructions that decide how fast 8-bit products are.
        threads: that share one batch.
        runtime: version of ONNX Runtime.
        speeds: images per second of the time that the processor spent, smallest batch first; what another
            program took of the cores meanwhile is not counted.
    """

    provider: str
    processor: str
    threads: int = Field(ge=1)
    runtime: str
    speeds: tuple[Speed, ...] = Field(min_length=1)


class PrecisionLoss(CardPart):
    """What the int8 encoder loses against the fp32 encoder, on images that nothing was fitted to.

    Attributes:
        split, images: of the images that were measured.
        mean_cosine, least_cosine: between the embeddings that both give of one image.
        knn_fp32, knn_int8: accuracy of k nearest neighbours by the embedding; None without labels.
        linear_fp32, linear_int8: accuracy of a linear classifier of the embedding; None without labels.
    """

    split: str
    images: int = Field(ge=1)
    mean_cosine: float
    least_cosine: float
    knn_fp32: float | None = Field(default=None, ge=0, le=1)
    knn_int8: float | None = Field(default=None, ge=0, le=1)
    linear_fp32: float | None = Field(default=None, ge=0, le=1)
    linear_int8: float | None = Field(default=None, ge=0, le=1)

    @property
    def points(self) -> float | None:
        """The larger of both losses in percentage points, below 0 for a gain; None without labels."""
        losses = [
            # Rounded, so that a loss of 0.3 points is not more than 0.3 for the way floats are held.
            round(100 * (fp32 - int8), 6)
            for fp32, int8 in ((self.knn_fp32, self.knn_int8), (self.linear_fp32, self.linear_int8))
            if fp32 is not None and int8 is not None
        ]
        return max(losses, default=None)
