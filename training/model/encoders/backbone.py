"""Any PyTorch module as an encoder: two of its layers are C(x) and the last map, f is added behind them.

E = f o C, where C is the trunk (pretrained or not) and f is what Deep InfoMax trains.
"""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from contract.patches import PatchGrid
from training.errors import RecipeError
from training.model.encoders.encoder import Encoder
from training.model.encoders.encoding import Maps
from training.model.encoders.receptive_field import patch_grid_of

_SHOWN = 12


class Taps(nn.Module):
    """A module of which two inner layers' outputs are kept; a layer that runs several times gives its last.

    Args:
        module: takes images [B, 3, H, W]; what it returns is not looked at.
        features, conv: names of layers, as `module.named_modules()` has them.

    Raises:
        RecipeError: there is no layer of that name; when called, the module does not run one.
    """

    def __init__(self, module: nn.Module, features: str, conv: str) -> None:
        super().__init__()
        self.module = module
        self._names = (features, conv)
        layers = dict(module.named_modules())
        for key, name in zip(("features", "conv"), self._names, strict=True):
            if not name or name not in layers:
                raise RecipeError(_unknown_layer(key, name, list(layers)))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return C(x) [B, C, M, M] and the last map [B, C2, M2, M2]."""
        kept: dict[str, Tensor] = {}

        def keep(name: str) -> torch.utils.hooks.RemovableHandle:
            def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
                kept[name] = output

            return self.module.get_submodule(name).register_forward_hook(hook)

        handles = [keep(name) for name in dict.fromkeys(self._names)]
        try:
            self.module(images)
        finally:
            for handle in handles:
                handle.remove()
        for key, name in zip(("features", "conv"), self._names, strict=True):
            if name not in kept:
                raise RecipeError(
                    f"encoder.{key} names {name!r}, which the module does not run for an image. "
                    "Name another layer."
                )
        features, conv = (kept[name] for name in self._names)
        return features, conv

    def shapes(self, input_size: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the shapes of both layers for one image of that height and width.

        Raises:
            RecipeError: the module cannot take it, or a layer does not give a tensor.
        """
        was_training = self.training
        self.eval()
        parameter = next(self.parameters(), torch.zeros(()))
        image = torch.zeros(1, 3, input_size, input_size, device=parameter.device)
        try:
            with torch.no_grad():
                layers = self(image)
        except RecipeError:
            raise
        except Exception as error:
            # A user's module raises what it likes; each means that it cannot take the image.
            raise RecipeError(
                f"The encoder's module cannot take images of {input_size} x {input_size} pixels: "
                f"{' '.join(str(error).split())}. Choose another input_size."
            ) from error
        self.train(was_training)
        for key, value in zip(("features", "conv"), layers, strict=True):
            if not isinstance(value, Tensor):
                raise RecipeError(
                    f"encoder.{key} gives a {type(value).__name__}, and a map [B, C, M, M] is needed. "
                    "Name another layer."
                )
        features, conv = (tuple(value.shape) for value in layers)
        return features, conv


def check_map(key: str, shape: tuple[int, ...]) -> None:
    """Refuse what is not a square map.

    Args:
        key: of the layer, in a recipe.
        shape: of its output.

    Raises:
        RecipeError: it is not [B, C, M, M].
    """
    if len(shape) != 4 or shape[2] != shape[3] or shape[2] < 1:
        raise RecipeError(
            f"encoder.{key} gives {list(shape)}, and a map [B, C, M, M] is needed. "
            "Name a layer before the pooling."
        )


class Head(nn.Module):
    """f without its last layer: the mean of the last map, beside two layers that Deep InfoMax trains.

    The trunk's own vector stays a part of fc, so that nothing that it knows is lost; [B, C2, M2, M2] to
    [B, C2 + units].
    """

    def __init__(self, channels: int, units: int) -> None:
        super().__init__()
        self.normalise = nn.BatchNorm1d(channels)
        self.hidden = nn.Sequential(
            nn.Linear(channels, units, bias=False),
            nn.BatchNorm1d(units),
            nn.ReLU(),
            nn.Linear(units, units, bias=False),
            nn.BatchNorm1d(units),
        )

    def forward(self, conv: Tensor) -> Tensor:
        vector = self.normalise(conv.mean(dim=(2, 3)))
        return torch.cat([vector, self.hidden(vector)], dim=1)


class BackboneEncoder(Encoder):
    """E = f(C(x)) around any module.

    Args:
        input_size: height and width of the images in pixels.
        trunk: images, normalised, to C(x) and the last map.
        code_units, hidden_units: of the code and of f.
        frozen: names of the trunk's parts that are not trained; "" for the whole trunk.

    Raises:
        RecipeError: a layer is not a map, or a frozen part does not exist.
    """

    def __init__(
        self, input_size: int, trunk: Taps, code_units: int, hidden_units: int, frozen: Sequence[str] = ()
    ) -> None:
        features, conv = trunk.shapes(input_size)
        check_map("features", features)
        check_map("conv", conv)
        units = conv[1] + hidden_units
        super().__init__(
            input_size,
            local=trunk,
            conv=nn.Identity(),
            fc=Head(conv[1], hidden_units),
            code=nn.Linear(units, code_units),
            kernels=(),
        )
        self._side = features[2]
        self._frozen = tuple(frozen)
        for part in self._frozen_parts():
            for parameter in part.parameters():
                parameter.requires_grad = False
        self.train(self.training)

    @property
    def trunk(self) -> nn.Module:
        """The module that was wrapped."""
        taps = self.local
        assert isinstance(taps, Taps)  # noqa: S101 (as the constructor makes it)
        return taps.module

    @property
    def frozen_trunk(self) -> bool:
        """Whether no part of the trunk is trained, so that its maps can be computed once."""
        return not any(parameter.requires_grad for parameter in self.local.parameters())

    def train(self, mode: bool = True) -> "BackboneEncoder":
        """Set the mode of all but the frozen parts, whose running statistics stay as they are."""
        super().train(mode)
        for part in self._frozen_parts():
            part.eval()
        return self

    def maps(self, images: Tensor) -> Maps:
        """Compute C(x) and the last map."""
        return Maps(*self.local((images - self.mean) / self.std))

    def patch_grid(self) -> PatchGrid:
        """Measure where the patches of C(x) lie in the input, by gradients."""
        trunk = copy.deepcopy(self.local).cpu().eval()
        return patch_grid_of(lambda images: trunk(images)[0], trunk, self.input_size)

    def _frozen_parts(self) -> list[nn.Module]:
        # The base class sets the mode before there is a trunk.
        trunk = self.__dict__.get("_modules", {}).get("local")
        if trunk is None or not hasattr(self, "_frozen"):
            return []
        found = []
        for name in self._frozen:
            try:
                found.append(trunk.module.get_submodule(name))
            except AttributeError:
                layers = list(dict(trunk.module.named_modules()))
                raise RecipeError(_unknown_layer("frozen", name, layers)) from None
        return found


def _unknown_layer(key: str, name: str, layers: list[str]) -> str:
    named = [layer for layer in layers if layer]
    shown = ", ".join(named[:_SHOWN]) + (", …" if len(named) > _SHOWN else "")
    return f"encoder.{key} names {name!r}, and the module has no such layer. Its layers are {shown}."
