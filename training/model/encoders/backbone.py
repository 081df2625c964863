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
        RecipeError: there is no layer of that name.
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
        features, conv = (kept[name] for name in self._names)
        return features, conv


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
        features, conv = _shapes(trunk, input_size)
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


def _shapes(trunk: Taps, input_size: int) -> tuple[torch.Size, torch.Size]:
    was_training = trunk.training
    trunk.eval()
    parameter = next(trunk.parameters(), torch.zeros(()))
    with torch.no_grad():
        try:
            features, conv = trunk(torch.zeros(1, 3, input_size, input_size, device=parameter.device))
        except RuntimeError as error:
            raise RecipeError(
                f"The encoder's module cannot take images of {input_size} x {input_size} pixels: "
                f"{' '.join(str(error).split())}. Choose another input_size."
            ) from error
    trunk.train(was_training)
    for key, value in (("features", features), ("conv", conv)):
        if value.dim() != 4 or value.shape[2] != value.shape[3] or value.shape[2] < 1:
            raise RecipeError(
                f"encoder.{key} gives {list(value.shape)}, and a map [B, C, M, M] is needed. "
                "Name a layer before the pooling."
            )
    return features.shape, conv.shape


def _unknown_layer(key: str, name: str, layers: list[str]) -> str:
    named = [layer for layer in layers if layer]
    shown = ", ".join(named[:_SHOWN]) + (", …" if len(named) > _SHOWN else "")
    return f"encoder.{key} names {name!r}, and the module has no such layer. Its layers are {shown}."
