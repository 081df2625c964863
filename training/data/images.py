"""Images for a recipe: decoded once, by the rule that the exported model will carry."""

from dataclasses import replace
from pathlib import Path

from contract.preprocessing import Preprocessing
from training.data import ImageSet, Source, default_cache, load
from training.data.loading import MAX_UNREADABLE
from training.errors import DataError
from training.recipe import Recipe


def rule(recipe: Recipe) -> Preprocessing:
    """Return the rule by which images become the input of this recipe's encoder."""
    return _square(recipe, recipe.input_size)


def load_training_images(source: Source | Path, recipe: Recipe, *, skip_unreadable: bool = False) -> ImageSet:
    """Decode a source for training: at the encoder's input size, and larger where the recipe keeps it so.

    Raises:
        DataError: the path does not hold images, or too many are unreadable.
    """
    images = load_images(source, rule(recipe), skip_unreadable=skip_unreadable)
    if recipe.kept_size is None:
        return images
    larger = load_images(source, _square(recipe, recipe.kept_size), skip_unreadable=skip_unreadable)
    if larger.names != images.names:
        raise DataError(
            f"{len(images)} images can be decoded at {recipe.input_size} pixels and {len(larger)} at "
            f"{recipe.kept_size}. Remove the damaged ones that the log names, or leave kept_size out."
        )
    return replace(images, larger_pixels=larger.pixels)


def _square(recipe: Recipe, side: int) -> Preprocessing:
    return Preprocessing(
        height=side, width=side, resize_rule=recipe.resize_rule, color_profile=recipe.color_profile
    )


def load_images(source: Source | Path, rule: Preprocessing, *, skip_unreadable: bool = False) -> ImageSet:
    """Decode a source by the rule, or take it from the user's cache.

    Args:
        source: of the images.
        rule: by which they are decoded.
        skip_unreadable: leave out all unreadable images, each named in the log, and not only a few.

    Raises:
        DataError: the path does not hold images, or too many are unreadable.
    """
    most = 1.0 if skip_unreadable else MAX_UNREADABLE
    return load(source, rule, cache=default_cache(), max_unreadable=most)
