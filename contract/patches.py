"""Where the patches of a feature map lie in the image.

A unit of a convolutional map sees a square of the input, its receptive field (Araujo et al. 2019,
"Computing receptive fields of convolutional neural networks", gives the recurrences).
"""

from pydantic import BaseModel, ConfigDict, Field


class Box(BaseModel):
    """A rectangle in pixels of the original, upright image; left and top inside, right and bottom outside."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    left: float
    top: float
    right: float
    bottom: float


class PatchGrid(BaseModel):
    """The geometry of an M x M map C(x) in pixels of the model's input.

    Attributes:
        rows, columns: size of the map.
        stride: distance in input pixels between neighbouring patch centres.
        receptive_field: side of the square that one patch sees.
        first_centre: distance of the first patch's centre from the left (and the top) edge.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int = Field(ge=1)
    columns: int = Field(ge=1)
    stride: float = Field(gt=0)
    receptive_field: float = Field(gt=0)
    first_centre: float

    def boxes(self, input_size: tuple[int, int], original_size: tuple[int, int]) -> list[list[Box]]:
        """What each patch sees, clipped to the image, in pixels of the original.

        Args:
            input_size: (width, height) of the model's input.
            original_size: (width, height) of the upright original.

        Returns:
            rows x columns boxes.
        """
        columns = [self._extent(c, input_size[0], original_size[0]) for c in range(self.columns)]
        rows = [self._extent(r, input_size[1], original_size[1]) for r in range(self.rows)]
        return [
            [Box(left=left, top=top, right=right, bottom=bottom) for left, right in columns]
            for top, bottom in rows
        ]

    def _extent(self, index: int, input_length: int, original_length: int) -> tuple[float, float]:
        centre = self.first_centre + index * self.stride
        scale = original_length / input_length
        start = max(0.0, centre - self.receptive_field / 2)
        end = min(float(input_length), centre + self.receptive_field / 2)
        return round(start * scale, 2), round(end * scale, 2)
