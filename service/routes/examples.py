"""Several examples in one search: near to the positive ones, and far from the negative ones.

The query is the mean of the positive vectors less half the mean of the negative ones (Rocchio 1971), at
length one: what the negatives share with the positives is weakened, and not turned round.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from service.index.items import check_id
from service.index.vectors import check_vector
from service.inputs.parameters import refused
from service.models.instance import ModelInstance
from service.routes.items import not_found

MOST_EXAMPLES = 100
_NEGATIVE_WEIGHT = 0.5
# Below this a direction is rounding errors.
_LEAST_LENGTH = 1e-5

Side = Literal["positive", "negative"]


@dataclass(frozen=True)
class Examples:
    """Parsed examples of one side: ids of items, and vectors [D] of length one."""

    ids: tuple[str, ...] = ()
    vectors: tuple[NDArray[np.float32], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.ids or self.vectors)


def parse_examples(value: object, side: Side, dimensions: int) -> Examples:
    """Read a list of `{"id": ...}` and `{"vector": [...]}`; None is an empty one.

    Raises:
        ServiceError: 422 `invalid_parameter`, `invalid_id` or `invalid_vector`.
    """
    if value is None:
        return Examples()
    if not isinstance(value, list) or not all(_is_example(one) for one in value):
        raise refused(f'{side} must be a list of examples: {{"id": "a"}} or {{"vector": [0.1, ...]}}.')
    if len(value) > MOST_EXAMPLES:
        raise refused(
            f"{side} has {len(value):,} examples, the limit is {MOST_EXAMPLES}. Send fewer.", MOST_EXAMPLES
        )
    return Examples(
        tuple(check_id(one["id"]) for one in value if "id" in one),
        tuple(check_vector(one["vector"], dimensions) for one in value if "vector" in one),
    )


async def combine(
    served: ModelInstance, query: NDArray[np.float32] | None, positive: Examples, negative: Examples
) -> NDArray[np.float32]:
    """Return the vector [D] to search by; `query`, where there is one, is a positive example too.

    Raises:
        ServiceError: 404 `item_not_found`, 422 `invalid_parameter` where positives and negatives cancel.
    """
    stored = await served.index.vectors([*positive.ids, *negative.ids])
    towards = [*([] if query is None else [query]), *_vectors(served, positive, stored)]
    if not towards:
        what = "negative examples alone" if negative else "no example"
        raise refused(f"The search has {what}. Add an image, an id, a vector or positive examples.")
    direction: NDArray[np.float64] = np.mean(towards, axis=0, dtype=np.float64)
    if negative:
        away = _vectors(served, negative, stored)
        direction -= _NEGATIVE_WEIGHT * np.mean(away, axis=0, dtype=np.float64)
    length = float(np.linalg.norm(direction))
    if length < _LEAST_LENGTH:
        raise refused("The examples cancel each other, which leaves no direction. Send others.")
    combined: NDArray[np.float64] = direction / length
    return combined.astype(np.float32)


def _is_example(value: object) -> bool:
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in ("id", "vector")


def _vectors(
    served: ModelInstance, examples: Examples, stored: dict[str, NDArray[np.float32]]
) -> Sequence[NDArray[np.float32]]:
    for item_id in examples.ids:
        if item_id not in stored:
            raise not_found(served, item_id)
    return [*(stored[item_id] for item_id in examples.ids), *examples.vectors]
