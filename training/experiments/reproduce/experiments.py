"""The experiments by name: which objective trains the encoder. All else is the same for all of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor

from training.errors import RecipeError
from training.experiments.baselines import Autoencoder, NoiseAsTargets, Supervised, VariationalAutoencoder
from training.experiments.reproduce.budget import Budget
from training.model.encoders import Encoder, build_encoder
from training.model.learner import Learner
from training.model.trainable import Trainable
from training.recipe import CriticRecipe, EncoderRecipe, ObjectiveRecipe, OptimiserRecipe, Recipe

ALL = "all"

CODE_UNITS = 64
_HIDDEN_UNITS = 1024  # the layer fc of dim32
_CRITIC_UNITS = 128
# Of the 64 patches of C(x), drawn at each step: the same expectation as with all of them for a quarter of
# the critic's arithmetic.
_POSITIONS = 16
_LOCAL_PRIOR, _GLOBAL_PRIOR = 0.1, 1.0

# Names of estimators as they are written in print.
_ESTIMATOR_NAMES = {
    "jsd": "JSD",
    "dv": "DV",
    "infonce": "InfoNCE",
    "kl": "KL",
    "reverse_kl": "reverse KL",
    "squared_hellinger": "squared Hellinger",
    "chi_squared": "chi-squared",
}
# The prior is taken away from the objectives of the paper's table 1.
_WITHOUT_PRIOR = ("jsd", "dv", "infonce")

# A recipe and the labels of its training images, int64 [N], to what is trained.
Build = Callable[[Recipe, Tensor], Trainable]


@dataclass(frozen=True)
class Experiment:
    """One row of the comparison.

    Attributes:
        name: as the command takes it.
        method: as the table has it.
        build: makes what is trained; None leaves the encoder as it was drawn.
        objective: of Deep InfoMax; a baseline has none.
    """

    name: str
    method: str
    build: Build | None
    objective: ObjectiveRecipe | None = None

    def recipe(self, budget: Budget) -> Recipe:
        """Describe the run: the paper's encoder, one view without augmentation, Adam."""
        name = (
            self.name if self.objective else f"{self.name}: a baseline, for which [objective] does not count"
        )
        return Recipe(
            name=name,
            seed=budget.seed,
            epochs=budget.epochs,
            batch_size=budget.batch_size,
            views=1,
            encoder=EncoderRecipe(name="dim32", code_units=CODE_UNITS),
            critic=CriticRecipe(units=_CRITIC_UNITS),
            objective=self.objective or ObjectiveRecipe(),
            optimiser=OptimiserRecipe(learning_rate=1e-3, weight_decay=0.0),
        )


def encoder_of(recipe: Recipe) -> Encoder:
    """Build the untrained encoder of a recipe."""
    return build_encoder(recipe.encoder, recipe.input_size)


def _deep_infomax(recipe: Recipe, _labels: Tensor) -> Trainable:
    return Learner(recipe)


def _supervised(recipe: Recipe, labels: Tensor) -> Trainable:
    return Supervised(encoder_of(recipe), CODE_UNITS, labels)


def _autoencoder(recipe: Recipe, _labels: Tensor) -> Trainable:
    return Autoencoder(encoder_of(recipe), CODE_UNITS)


def _variational(recipe: Recipe, _labels: Tensor) -> Trainable:
    return VariationalAutoencoder(encoder_of(recipe), _HIDDEN_UNITS, CODE_UNITS)


def _noise_as_targets(recipe: Recipe, labels: Tensor) -> Trainable:
    return NoiseAsTargets(encoder_of(recipe), CODE_UNITS, len(labels), recipe.seed)


def _global(prior: float) -> ObjectiveRecipe:
    return ObjectiveRecipe(estimator="jsd", global_weight=1.0, local_weight=0.0, prior_weight=prior)


def _local(estimator: str, prior: float) -> ObjectiveRecipe:
    return ObjectiveRecipe(estimator=estimator, local_weight=1.0, prior_weight=prior, positions=_POSITIONS)


def _local_method(estimator: str) -> str:
    return f"DIM(L) {_ESTIMATOR_NAMES.get(estimator, estimator.replace('_', ' '))}"


def _experiments() -> Iterator[Experiment]:
    """List experiments in the order of their runs: with a time limit, what matters most comes first."""
    yield Experiment("random", "random encoder", None)
    yield Experiment("supervised", "fully supervised", _supervised)
    for estimator in ("jsd", "infonce", "dv"):
        yield _dim_local(estimator)
    yield Experiment("dim-g", "DIM(G) JSD", _deep_infomax, _global(_GLOBAL_PRIOR))
    yield Experiment("ae", "autoencoder", _autoencoder)
    yield Experiment("vae", "VAE", _variational)
    yield Experiment("nat", "NAT", _noise_as_targets)
    yield Experiment("dim-g-no-prior", "DIM(G) JSD, no prior", _deep_infomax, _global(0.0))
    for estimator in _WITHOUT_PRIOR:
        method = f"{_local_method(estimator)}, no prior"
        yield Experiment(f"dim-l-{estimator}-no-prior", method, _deep_infomax, _local(estimator, 0.0))
    for estimator in ("kl", "reverse_kl", "squared_hellinger", "chi_squared"):
        yield _dim_local(estimator)


def _dim_local(estimator: str) -> Experiment:
    name = f"dim-l-{estimator.replace('_', '-')}"
    return Experiment(name, _local_method(estimator), _deep_infomax, _local(estimator, _LOCAL_PRIOR))


EXPERIMENTS = {experiment.name: experiment for experiment in _experiments()}


def choose(name: str) -> tuple[Experiment, ...]:
    """Choose the experiment of that name, or every one.

    Raises:
        RecipeError: there is no such experiment.
    """
    if name == ALL:
        return tuple(EXPERIMENTS.values())
    if name not in EXPERIMENTS:
        raise RecipeError(f"There is no experiment {name!r}; choose one of {', '.join(EXPERIMENTS)}, {ALL}.")
    return (EXPERIMENTS[name],)
