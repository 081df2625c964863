"""Critics by the name that recipes use; adding one is a file here and a line below."""

from collections.abc import Callable

from training.errors import RecipeError
from training.model.critics.concat_and_convolve import ConcatAndConvolve
from training.model.critics.critic import Critic
from training.model.critics.encode_and_dot import EncodeAndDot
from training.model.critics.projection import Projection

CRITICS: dict[str, Callable[[int, int, int, float | None], Critic]] = {
    "encode_and_dot": EncodeAndDot,
    "concat_and_convolve": ConcatAndConvolve,
}


def build_critic(
    name: str, channels: int, target_units: int, units: int, temperature: float | None
) -> Critic:
    """Make a critic of patches [A, channels, P] and global vectors [B, target_units].

    Raises:
        RecipeError: there is no such critic.
    """
    if name not in CRITICS:
        raise RecipeError(f"There is no critic {name!r}; choose one of {', '.join(CRITICS)}.")
    return CRITICS[name](channels, target_units, units, temperature)


__all__ = ["CRITICS", "Critic", "Projection", "build_critic"]
