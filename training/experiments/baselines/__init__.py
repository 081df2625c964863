"""Methods that Deep InfoMax is compared with (Hjelm et al. 2019, table 1), each training the same encoder."""

from training.experiments.baselines.autoencoder import Autoencoder
from training.experiments.baselines.noise_as_targets import NoiseAsTargets
from training.experiments.baselines.supervised import Supervised
from training.experiments.baselines.variational import VariationalAutoencoder

__all__ = ["Autoencoder", "NoiseAsTargets", "Supervised", "VariationalAutoencoder"]
