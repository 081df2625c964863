"""Methods that Deep InfoMax is compared with (Hjelm et al. 2019, table 1), each training the same encoder."""

from training.baselines.autoencoder import Autoencoder
from training.baselines.noise_as_targets import NoiseAsTargets
from training.baselines.supervised import Supervised
from training.baselines.variational import VariationalAutoencoder

__all__ = ["Autoencoder", "NoiseAsTargets", "Supervised", "VariationalAutoencoder"]
