"""Where the patches of a feature map lie in the image.

A unit of a convolutional map sees a square of the input, its receptive field (Araujo et al. 2019,
"Computing receptive fields of convolutional neural networks", gives the recurrences).
"""

from pydantic import BaseModel, ConfigDict, Field

from contract.placement import Axis, Placement


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

    def boxes(self, placement: Placement) -> list[list[Box]]:
        """Compute what each patch sees, clipped to what the input shows of the original.

        A patch that sees nothing but the border of a letterbox has an empty box at the edge of the image.

        Returns:
            rows x columns boxes in pixels of the original.
        """
        columns = [self._extent(column, placement.across) for column in range(self.columns)]
        rows = [self._extent(row, placement.down) for row in range(self.rows)]
        return [
            [Box(left=left, top=top, right=right, bottom=bottom) for left, right in columns]
            for top, bottom in rows
        ]

    def finer(self, resolution: int) -> "PatchGrid":
        """Return the grid of `resolution` times as many rows and columns, around the same centre.

        Its patches see squares of the same size, which stand closer.
        """
        stride = self.stride / resolution
        return PatchGrid(
            rows=self.rows * resolution,
            columns=self.columns * resolution,
            stride=stride,
            receptive_field=self.receptive_field,
            first_centre=self.first_centre - (resolution - 1) / 2 * stride,
        )

    def _extent(self, index: int, axis: Axis) -> tuple[float, float]:
        centre, half = self.first_centre + index * self.stride, self.receptive_field / 2
        first, last = axis.filled
        start, end = (min(max(place, first), last) for place in (centre - half, centre + half))
        return round(axis.to_original(start), 2), round(axis.to_original(end), 2)
