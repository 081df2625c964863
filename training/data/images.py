"""Images for a recipe: decoded once, by the rule that the exported model will carry."""

from pathlib import Path

from contract.preprocessing import Preprocessing
from training.data import ImageSet, Source, default_cache, load
from training.recipe import Recipe


def rule(recipe: Recipe) -> Preprocessing:
    """Return the rule by which images become the input of this recipe's encoder."""
    return Preprocessing(height=recipe.input_size, width=recipe.input_size)


def load_images(source: Source | Path, rule: Preprocessing) -> ImageSet:
    """Decode a source by the rule, or take it from the user's cache.

    Raises:
        DataError: the path does not hold images, or too many are unreadable.
    """
    return load(source, rule, cache=default_cache())
