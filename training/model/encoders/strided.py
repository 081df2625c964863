"""What the encoders here are made of: strided convolutions that halve a map, then one hidden layer."""

from torch import nn

from training.model.encoders.encoder import Encoder

HIDDEN_UNITS = 1024
# Kernel, stride and padding of the paper's convolutions (Hjelm et al. 2019, appendix A.2).
HALVING = (4, 2, 1)


def strided(
    input_size: int,
    local_channels: tuple[int, ...],
    conv_channels: tuple[int, ...],
    code_units: int,
    first: tuple[int, int, int] = HALVING,
) -> Encoder:
    """Build an encoder of halving convolutions with these channels; `first` replaces the first one."""
    kernels = [first] + [HALVING] * (len(local_channels) - 1)
    inputs = (3, *local_channels)
    local = [convolution(i, o, k) for i, o, k in zip(inputs, local_channels, kernels, strict=False)]
    inputs = (local_channels[-1], *conv_channels)
    conv = [convolution(i, o) for i, o in zip(inputs, conv_channels, strict=False)]
    last = input_size // first[1] // HALVING[1] ** (len(local) + len(conv) - 1)
    return Encoder(
        input_size,
        local=nn.Sequential(*local),
        conv=nn.Sequential(*conv),
        fc=hidden(conv_channels[-1] * last * last),
        code=nn.Linear(HIDDEN_UNITS, code_units),
        kernels=kernels,
    )


def convolution(inputs: int, outputs: int, kernel: tuple[int, int, int] = HALVING) -> nn.Sequential:
    """Build a convolution of that kernel, stride and padding, normalised and rectified."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, *kernel, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


def hidden(inputs: int, units: int = HIDDEN_UNITS) -> nn.Sequential:
    """Build the layer fc: a flattened map of `inputs` numbers to `units`."""
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, units, bias=False), nn.BatchNorm1d(units), nn.ReLU())
