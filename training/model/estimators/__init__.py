"""Estimators of mutual information by the name that recipes use; adding one is a file and a line below."""

from training.errors import RecipeError
from training.model.estimators.decoupled import DecoupledInfoNCE
from training.model.estimators.donsker_varadhan import DonskerVaradhan
from training.model.estimators.estimator import Estimator
from training.model.estimators.f_divergences import (
    ChiSquared,
    JensenShannon,
    KullbackLeibler,
    ReverseKullbackLeibler,
    SquaredHellinger,
)
from training.model.estimators.infonce import InfoNCE

ESTIMATORS: dict[str, type[Estimator]] = {
    "infonce": InfoNCE,
    "decoupled_infonce": DecoupledInfoNCE,
    "jsd": JensenShannon,
    "dv": DonskerVaradhan,
    "kl": KullbackLeibler,
    "reverse_kl": ReverseKullbackLeibler,
    "squared_hellinger": SquaredHellinger,
    "chi_squared": ChiSquared,
}


def build_estimator(name: str) -> Estimator:
    """Make an estimator by name.

    Raises:
        RecipeError: there is no such estimator.
    """
    if name not in ESTIMATORS:
        raise RecipeError(f"There is no estimator {name!r}; choose one of {', '.join(ESTIMATORS)}.")
    return ESTIMATORS[name]()


__all__ = ["ESTIMATORS", "Estimator", "build_estimator"]
