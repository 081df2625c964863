"""Training step of another implementation, DeepInfomaxPytorch, from a checkout of its repository.

    git clone https://github.com/DuaneNielsen/DeepInfomaxPytorch

Its networks and its loss are in two files, which are loaded as they are; nothing of it is kept here. The
timed step is its loop's: encode, pair each image's map with the next one's, compute local, global and prior
terms, and step Adam for the encoder and for the rest. Its loader is not timed: a batch comes from memory, as
ours does, and torchvision is not needed.
"""

import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from itertools import cycle
from pathlib import Path
from types import ModuleType, SimpleNamespace

import torch
from torch import Tensor

from bench.training.measure import Parts, random_images
from training.data.views import to_unit

# Default of its command line, and learning rate of both its optimisers.
_BATCH = 64
_RATE = 1e-4
_SIDE = 32


def public_parts(checkout: Path, device: torch.device) -> Parts:
    """Make its step and its bare encoder, in float32, its only precision.

    Raises:
        FileNotFoundError: the folder is not a checkout of it.
    """
    networks, script = _modules(checkout)
    encoder = networks.Encoder().to(device)
    loss = script.DeepInfoMaxLoss().to(device)
    optimisers = [torch.optim.Adam(each.parameters(), lr=_RATE) for each in (encoder, loss)]
    batches = _batches(device)
    encoded = next(batches)

    def bare() -> None:
        encoder.zero_grad(set_to_none=True)
        code, _ = encoder(encoded)
        code.square().mean().backward()

    def step() -> None:
        for optimiser in optimisers:
            optimiser.zero_grad()
        code, own = encoder(next(batches))
        value = loss(code, own, own.roll(-1, dims=0))
        value.item()
        value.backward()
        for optimiser in optimisers:
            optimiser.step()

    return Parts("DeepInfomaxPytorch", _BATCH, bare, step, lambda: next(batches))


def _batches(device: torch.device) -> Iterator[Tensor]:
    for batch in cycle(random_images(_BATCH, _SIDE, seed=0).split(_BATCH)):
        yield to_unit(batch).contiguous().to(device)


def _modules(checkout: Path) -> tuple[ModuleType, ModuleType]:
    """Load its networks and its script, with stand-ins for the packages that read images."""
    stand_ins = {
        "torchvision": ModuleType("torchvision"),
        "torchvision.datasets": ModuleType("torchvision.datasets"),
        "torchvision.datasets.cifar": SimpleNamespace(CIFAR10=None),
        "torchvision.transforms": SimpleNamespace(ToTensor=None),
        "tqdm": SimpleNamespace(tqdm=None),
    }
    before = dict(sys.modules)
    sys.modules.update(stand_ins)  # type: ignore[arg-type]  # it only takes names from them
    try:
        networks = sys.modules["models"] = _module(checkout / "models.py")
        return networks, _module(checkout / "train.py")
    finally:
        for name in {"models", *stand_ins}:
            sys.modules.pop(name, None)
        sys.modules.update({name: before[name] for name in {"models", *stand_ins} & before.keys()})


def _module(path: Path) -> ModuleType:
    spec = spec_from_file_location(f"deep_infomax_pytorch_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FileNotFoundError(f"{path} is missing. Name a checkout of DuaneNielsen/DeepInfomaxPytorch.")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
