"""A training run, described completely: one TOML file, one frozen record.

Everything that changes the weights is in here (the images and the seed's hardware aside), so that a
checkpoint and a card can carry it whole.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from training.data.views import Share, ViewRecipe
from training.errors import RecipeError
from training.model.critics import build_critic
from training.model.encoders import Encoder, build_encoder, layer_shapes, takes
from training.model.estimators import build_estimator


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class EncoderRecipe(_Section):
    """Which encoder of the registry, and what it lets one choose.

    Attributes:
        name: of the registry `training.model.encoders`.
        code_units: length of the code.
        whitened: begin with a first layer that whitens patches of the images (training/model/whitening.py).
    """

    name: str
    code_units: int = Field(default=64, ge=1)
    whitened: bool = False


class CriticRecipe(_Section):
    """The critic of the local and global objectives.

    Attributes:
        name: of the registry `training.model.critics`.
        units: width of its projections or hidden layers.
        temperature: scores are divided by this, and encode_and_dot scores by cosine similarity; absent
            means the raw scores of the paper. The pairwise objective takes it too, or 1.
    """

    name: str = "encode_and_dot"
    units: int = Field(default=128, ge=1)
    temperature: float | None = Field(default=None, gt=0)


class ObjectiveRecipe(_Section):
    """The weights of the objective's terms and what they look at.

    Attributes:
        estimator: of the registry `training.model.estimators`.
        global_weight, local_weight, prior_weight: the paper's alpha, beta and gamma.
        pairwise_weight: weight of the bound between the two views' global vectors.
        maps: maps whose patches the local term scores, each with its weight within that term.
        target: global vector that the patches are scored against.
        positions: patches sampled per map and step; absent means all.
        prior: distribution that the code is matched to, when prior_weight is above 0.
    """

    estimator: str = "infonce"
    global_weight: float = Field(default=0.0, ge=0)
    local_weight: float = Field(default=1.0, ge=0)
    prior_weight: float = Field(default=0.0, ge=0)
    pairwise_weight: float = Field(default=0.0, ge=0)
    maps: dict[Literal["features", "conv"], Annotated[float, Field(gt=0)]] = {"features": 1.0}
    target: Literal["fc", "code"] = "code"
    positions: int | None = Field(default=None, ge=1)
    prior: Literal["uniform", "gaussian"] = "uniform"

    @model_validator(mode="after")
    def _something_to_maximise(self) -> "ObjectiveRecipe":
        if not (self.global_weight or self.local_weight or self.pairwise_weight):
            raise ValueError("global_weight, local_weight and pairwise_weight are all 0: nothing is learned")
        if self.local_weight and not self.maps:
            raise ValueError(
                f"local_weight is {self.local_weight:g} but maps is empty; name a map, such as features = 1.0"
            )
        return self


class OptimiserRecipe(_Section):
    """AdamW with linear warm-up and cosine decay to 0 (Loshchilov and Hutter 2019).

    Attributes:
        learning_rate: at the end of the warm-up.
        muon_learning_rate: of Muon (training/optim/muon.py), which then moves the kernels of convolutions.
        weight_decay: of matrices and kernels; biases and normalisation are not decayed.
        warmup_share: share of all steps spent warming up.
    """

    learning_rate: float = Field(default=2e-3, gt=0)
    muon_learning_rate: float | None = Field(default=None, gt=0)
    weight_decay: float = Field(default=1e-4, ge=0)
    warmup_share: Share = 0.05


class SmallViewsRecipe(_Section):
    """Views of fewer pixels at first, which cost less.

    They are no worse to learn from: things look larger in a crop stretched to an image's size than in the
    image, so what was trained on smaller views sees them in a whole image at the size it knows
    (Touvron et al. 2019, "Fixing the train-test resolution discrepancy").

    Attributes:
        size: their height and width in pixels.
        share: of all steps; those that remain take views of the input's size.
    """

    size: int = Field(ge=8)
    share: Share


class Recipe(_Section):
    """One run of `infomax train`.

    Attributes:
        name: of the recipe; ends up in the card.
        input_size: height and width of the encoder's input in pixels.
        views: 1 trains on each image as its own partner (the paper), or on one random view of it where
            there is an augmentation; 2 on two random views.
        embedding_layer: layer that `embedding` of the exported encoder is made of (encoders/embedding.py).
        validation_share: share of the training images held out for every choice.
    """

    name: str
    seed: int = Field(default=0, ge=0)
    epochs: int = Field(ge=1)
    batch_size: int = Field(default=256, ge=1)
    input_size: int = Field(default=32, ge=8)
    views: Literal[1, 2] = 2
    embedding_layer: Literal["conv", "fc", "code"] = "fc"
    validation_share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    encoder: EncoderRecipe
    critic: CriticRecipe = CriticRecipe()
    objective: ObjectiveRecipe = ObjectiveRecipe()
    optimiser: OptimiserRecipe = OptimiserRecipe()
    augmentation: ViewRecipe | None = None
    small_views: SmallViewsRecipe | None = None

    def view_size(self, progress: float) -> int:
        """Height and width in pixels of the views of a step, before which this share of all was taken."""
        small = self.small_views
        return small.size if small is not None and progress < small.share else self.input_size

    @model_validator(mode="after")
    def _possible(self) -> "Recipe":
        if self.batch_size < 2:
            raise ValueError(
                f"batch_size is {self.batch_size}; negatives come from the batch, so at least 2 is needed"
            )
        if self.views == 2 and self.augmentation is None:
            raise ValueError("views = 2 needs an [augmentation] section; two equal views predict nothing")
        if self.views == 1 and self.objective.pairwise_weight:
            raise ValueError(
                "pairwise_weight needs views = 2; with one view it compares a vector with itself"
            )
        if self.embedding_layer == "code" and self.objective.target == "fc":
            raise ValueError(
                'embedding_layer is "code", which objective.target = "fc" leaves without training; '
                'make both "fc" or both "code"'
            )
        return self

    @model_validator(mode="after")
    def _buildable(self) -> "Recipe":
        """Ask the registries now, before anything is read; on the meta device nothing is computed."""
        try:
            with torch.device("meta"):
                encoder = build_encoder(self.encoder.name, self.encoder.code_units, self.input_size)
                build_critic(self.critic.name, 1, 1, self.critic.units, self.critic.temperature)
                build_estimator(self.objective.estimator)
        except RecipeError as error:
            raise ValueError(str(error).removesuffix(".")) from error
        self._check_small_views(encoder)
        self._check_positions(encoder)
        return self

    def _check_small_views(self, encoder: Encoder) -> None:
        small = self.small_views
        if small is None:
            return
        if self.augmentation is None:
            raise ValueError("small_views needs an [augmentation] section; without one there are no views")
        if small.size >= self.input_size:
            raise ValueError(
                f"small_views.size is {small.size}, no less than input_size = {self.input_size}; "
                "ask for fewer pixels or leave the section out"
            )
        if self.objective.global_weight:
            raise ValueError(
                "small_views cannot be had with global_weight: the global critic reads maps of one size"
            )
        if not takes(encoder, small.size):
            raise ValueError(
                f"small_views.size is {small.size}, which {self.encoder.name} cannot encode; "
                "take another size or residual32, or leave the section out"
            )

    def _check_positions(self, encoder: Encoder) -> None:
        objective = self.objective
        if objective.positions is None or not objective.local_weight:
            return
        with torch.device("meta"):
            layers = layer_shapes(encoder)
        patches = {name: getattr(layers, name)[0, 0].numel() for name in objective.maps}
        if objective.positions > max(patches.values()):
            counts = ", ".join(f"{name} has {count}" for name, count in patches.items())
            raise ValueError(
                f"objective.positions is {objective.positions}, more than any map of {self.encoder.name} has "
                f"patches ({counts}); ask for fewer, or leave it out to take all"
            )


SECTIONS: dict[str | int, type] = {
    "encoder": EncoderRecipe,
    "critic": CriticRecipe,
    "objective": ObjectiveRecipe,
    "optimiser": OptimiserRecipe,
    "augmentation": ViewRecipe,
    "small_views": SmallViewsRecipe,
}


def load_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        RecipeError: naming the file, the first wrong key, its value and what is allowed.
    """
    try:
        return Recipe.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise RecipeError(f"There is no recipe {path}; shipped ones lie in training/recipes/.") from error
    except OSError as error:
        raise RecipeError(f"The recipe {path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is no valid TOML: {error}.") from error
    except ValidationError as error:
        raise RecipeError(f"{path}: {_complaint(error.errors()[0])}.") from error


def _complaint(error: ErrorDetails) -> str:
    """One clause about one wrong key."""
    where = error["loc"]
    key = ".".join(str(part) for part in where if part != "[key]")
    match error["type"]:
        case "value_error":
            message = error["msg"].removeprefix("Value error, ")
            return f"{key}: {message}" if key else message
        case "missing":
            return f"{key} is missing"
        case "extra_forbidden" | "unexpected_keyword_argument":
            section = SECTIONS[where[0]] if len(where) > 1 else Recipe
            return f"there is no key {key}; choose one of {', '.join(section.__annotations__)}"
        case _:
            return f"{key}: {error['msg'].replace('Input should', 'it has to')}, and is {error['input']!r}"
