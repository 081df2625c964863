"""Images for training and probes: a folder or a Parquet file, decoded once to the model's input size."""

from training.data.cache import default_cache
from training.data.image_set import ImageSet
from training.data.loading import load
from training.data.opening import open_source
from training.data.source import Source

__all__ = ["ImageSet", "Source", "default_cache", "load", "open_source"]
