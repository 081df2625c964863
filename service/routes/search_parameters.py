"""Parameters of a search, for one image and for a stream."""

from functools import cached_property
from typing import Literal

from pydantic import Field

from service.index.filters import Condition, compile_filter
from service.index.search_plan import Recall
from service.inputs.parameters import JsonObject, Parameters, refused

MAX_K = 1000


class SearchParameters(Parameters):
    """Parameters of a search."""

    k: int = Field(default=10, ge=1, le=MAX_K, description="number of neighbours")
    offset: int = Field(
        default=0, ge=0, le=MAX_K, description="number of nearer neighbours that are left out, for pages"
    )
    filter: JsonObject = Field(
        default=None, description="only items whose metadata pass; docs/api.md lists the operators"
    )
    recall: Literal["exact", "high", "fast"] = Field(
        default="high", description="share of the true neighbours that has to be found"
    )
    min_score: float | None = Field(
        default=None, ge=-1, le=1, allow_inf_nan=False, description="only items with this score or more"
    )

    @property
    def reach(self) -> int:
        """Number of neighbours to find, those that are left out included.

        Raises:
            ServiceError: 422 `invalid_parameter` for more than are found.
        """
        if self.offset + self.k > MAX_K:
            raise refused(
                f"offset + k is {self.offset + self.k:,}, the limit is {MAX_K:,}. Lower one of them.", MAX_K
            )
        return self.offset + self.k

    @cached_property
    def condition(self) -> Condition | None:
        """Compiled filter.

        Raises:
            ServiceError: 422 `invalid_filter`.
        """
        return None if self.filter is None else compile_filter(self.filter)

    @property
    def thoroughness(self) -> Recall:
        """Recall as the index takes it."""
        return Recall(self.recall)
