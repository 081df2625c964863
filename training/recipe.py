"""A training run, described completely: one frozen record for each section of a recipe's TOML file.

Everything that changes the weights is in here (the images and the hardware aside), so that a checkpoint and
a card can carry it whole. What the sections allow by themselves is checked here; whether the registries can
build what they name is checked by `training.model.buildable`, which stands above this file.
"""

from collections.abc import Container
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, model_validator

from contract.preprocessing import ColorProfile, ResizeRule

# Twice as large, each pixel of a view that shows a whole image is the mean of four.
_MOST_KEPT = 2
Share = Annotated[float, Field(ge=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class EncoderRecipe(_Section):
    """Which encoder: one of the registry, or any module that a function makes.

    Attributes:
        name: of the registry `training.model.encoders`; with a factory, a name for the card.
        code_units: length of the code.
        whitened: begin with a first layer that whitens patches of the images (training/model/whitening.py).
        factory: "package:function" that makes a torch module of images [B, 3, H, W].
        arguments: keyword arguments of that function.
        features: the module's layer that is C(x), whose patches the local term scores. Its stride is the
            resolution of the MI map.
        conv: the module's layer that is the last map.
        hidden_units: width of f, which stands behind the last map of a factory's or a residual network.
        mean, std: of each channel on the scale 0..1, as the module's weights expect; absent means those of
            the training images.
        frozen: names of parts of the module that are not trained; "" is all of it.
    """

    name: str = "backbone"
    code_units: int = Field(default=64, ge=1)
    whitened: bool = False
    factory: str | None = None
    arguments: dict[str, bool | int | float | str] = {}
    features: str | None = None
    conv: str | None = None
    hidden_units: int = Field(default=512, ge=1)
    mean: tuple[float, float, float] | None = None
    std: tuple[PositiveFloat, PositiveFloat, PositiveFloat] | None = None
    frozen: tuple[str, ...] = ()

    def is_backbone(self, names: Container[str]) -> bool:
        """Tell whether f is added behind a trunk, where `names` are the registry's trunks."""
        return self.factory is not None or self.name in names

    @model_validator(mode="after")
    def _complete(self) -> "EncoderRecipe":
        if self.factory is not None and not (self.features and self.conv):
            raise ValueError(
                "a factory needs features and conv: the names of the layers that are C(x) and the last map"
            )
        if self.factory is None and self.arguments:
            raise ValueError("arguments are those of a factory, and there is none")
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std belong together; give both or neither")
        return self


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


@dataclass(frozen=True)
class ViewRecipe:
    """Strengths of the differences between views.

    Attributes:
        min_crop: smallest share of the image's area that a crop keeps.
        aspect: largest ratio of a crop's sides, stretched back to a square.
        flip: probability of mirroring.
        brightness, contrast, saturation: largest relative change of each.
        hue: largest rotation as a share of the colour circle.
        jitter: probability that colours change at all.
        grey: probability that colour is dropped.
        blur: probability of a Gaussian blur.
        blur_sigma: its largest standard deviation, as a share of the view's side; SimCLR's: 2 pixels of 224.
        solarise: probability that values above one half are inverted.

    Pydantic checks the ranges where a recipe is read.
    """

    min_crop: Annotated[float, Field(gt=0, le=1)] = 0.2
    aspect: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 4 / 3
    flip: Share = 0.5
    brightness: Share = 0.4
    contrast: Share = 0.4
    saturation: Share = 0.4
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    jitter: Share = 0.8
    grey: Share = 0.2
    blur: Share = 0.0
    blur_sigma: Annotated[float, Field(gt=0, le=0.1)] = 0.009
    solarise: Share = 0.0


class SmallViewsRecipe(_Section):
    """Views of fewer pixels at first, which cost less.

    They teach as well: in a crop stretched to an image's size, things look larger than in the image. An
    encoder that was trained on smaller views meets them in a whole image at the size it knows (Touvron et al.
    2019, "Fixing the train-test resolution discrepancy").

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
        resize_rule, color_profile: how images become that input (contract/preprocessing.py).
        kept_size: height and width in pixels at which images are kept for training, so that crops of them are
            sharp; absent means input_size. All that measures takes input_size.
        views: 1 trains on each image as its own partner (the paper), or on one random view of it where
            there is an augmentation; 2 on two random views.
        trunk_copies: random views of each image whose maps are computed once, where the whole trunk is
            frozen (`encoder.frozen = [""]`); steps then train f and the critics alone. The views take the
            size of small_views where there is one; its share has to be 1.
        embedding_layer: layer that `embedding` of the exported encoder is made of (encoders/embedding.py).
        held_out_share: share of all images that is set aside for the figures of an export; nothing is fitted
            to them or chosen by them (training/data/set_aside.py).
        validation_share: share of the others held out for every choice.
    """

    name: str
    seed: int = Field(default=0, ge=0)
    epochs: int = Field(ge=1)
    batch_size: int = Field(default=256, ge=1)
    input_size: int = Field(default=32, ge=8, le=1024)
    resize_rule: ResizeRule = "stretch"
    color_profile: ColorProfile = "ignore"
    kept_size: int | None = Field(default=None, ge=8, le=1024)
    views: Literal[1, 2] = 2
    embedding_layer: Literal["conv", "fc", "code"] = "fc"
    held_out_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    validation_share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    encoder: EncoderRecipe
    critic: CriticRecipe = CriticRecipe()
    objective: ObjectiveRecipe = ObjectiveRecipe()
    optimiser: OptimiserRecipe = OptimiserRecipe()
    augmentation: ViewRecipe | None = None
    small_views: SmallViewsRecipe | None = None
    trunk_copies: int | None = Field(default=None, ge=2)

    def view_size(self, progress: float) -> int:
        """Choose the views' height and width in pixels after this share of all steps."""
        small = self.small_views
        return small.size if small is not None and progress < small.share else self.input_size

    def work_done(self, progress: float) -> float:
        """Estimate the share of all arithmetic that is done after this share of all steps."""
        small = self.small_views
        if small is None:
            return progress
        cost, until = (small.size / self.input_size) ** 2, small.share
        done = cost * min(progress, until) + max(0.0, progress - until)
        return done / (cost * until + 1 - until)

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
        self._check_kept_size()
        self._check_small_views()
        self._check_trunk_copies()
        return self

    def _check_kept_size(self) -> None:
        if self.kept_size is None:
            return
        if self.augmentation is None:
            raise ValueError("kept_size needs an [augmentation] section; without one nothing is cropped")
        if not self.input_size < self.kept_size <= _MOST_KEPT * self.input_size:
            raise ValueError(
                f"kept_size is {self.kept_size}; it has to be above input_size = {self.input_size} and at "
                f"most {_MOST_KEPT * self.input_size}, since crops are resampled without a filter"
            )

    def _check_small_views(self) -> None:
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
                "small_views cannot be combined with global_weight: the global critic reads maps of one size"
            )

    def _check_trunk_copies(self) -> None:
        if self.trunk_copies is None:
            return
        if "" not in self.encoder.frozen:
            raise ValueError('trunk_copies needs a frozen trunk; set encoder.frozen = [""], or leave it out')
        if self.augmentation is None or self.views > self.trunk_copies:
            raise ValueError(
                "trunk_copies needs an [augmentation] section and at least as many copies as views"
            )
        if self.small_views is not None and self.small_views.share < 1:
            raise ValueError(
                f"small_views.share is {self.small_views.share:g}, and with trunk_copies all views have one "
                "size; make it 1, or leave the section out"
            )


SECTIONS: dict[str | int, type] = {
    "encoder": EncoderRecipe,
    "critic": CriticRecipe,
    "objective": ObjectiveRecipe,
    "optimiser": OptimiserRecipe,
    "augmentation": ViewRecipe,
    "small_views": SmallViewsRecipe,
}
