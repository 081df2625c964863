"""Residual networks of the usual layout (He et al. 2016) for photographs of 64 to 512 pixels.

Layers are named as torchvision names them (conv1, layer1 ... layer4), so that its weights load by
`infomax train --init`. Strides of C(x): layer2 8 pixels, layer3 16, layer4 32.
"""

from collections.abc import Callable

from torch import Tensor, nn


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut (He et al. 2016, figure 5, left)."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        # Starting as the identity lets a deep stack train from the first step (Goyal et al. 2017).
        nn.init.zeros_(self.bn2.weight)
        self.downsample = _shortcut(inputs, width, stride)

    def forward(self, inputs: Tensor) -> Tensor:
        """Keep the shape but for the stride."""
        hidden = self.relu(self.bn1(self.conv1(inputs)))
        out: Tensor = self.relu(self.bn2(self.conv2(hidden)) + self.downsample(inputs))
        return out


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolutions beside a shortcut; the stride is the middle one's."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        nn.init.zeros_(self.bn3.weight)
        self.relu = nn.ReLU()
        self.downsample = _shortcut(inputs, outputs, stride)

    def forward(self, inputs: Tensor) -> Tensor:
        """Keep the shape but for the stride and the channels."""
        hidden = self.relu(self.bn1(self.conv1(inputs)))
        hidden = self.relu(self.bn2(self.conv2(hidden)))
        out: Tensor = self.relu(self.bn3(self.conv3(hidden)) + self.downsample(inputs))
        return out


class ResNet(nn.Module):
    """Images [B, 3, H, W] to the last map [B, 512 x expansion, H / 32, W / 32], without a classifier."""

    def __init__(
        self, block: Callable[[int, int, int], nn.Module], expansion: int, depths: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inputs = 64
        for number, (depth, width) in enumerate(zip(depths, (64, 128, 256, 512), strict=True), start=1):
            strides = [1 if number == 1 else 2] + [1] * (depth - 1)
            blocks = []
            for stride in strides:
                blocks.append(block(inputs, width, stride))
                inputs = width * expansion
            self.add_module(f"layer{number}", nn.Sequential(*blocks))

    def forward(self, images: Tensor) -> Tensor:
        """Compute the last map."""
        hidden = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        for number in range(1, 5):
            hidden = self.get_submodule(f"layer{number}")(hidden)
        out: Tensor = hidden
        return out


def resnet18() -> ResNet:
    """Build ResNet-18."""
    return ResNet(BasicBlock, BasicBlock.expansion, (2, 2, 2, 2))


def resnet50() -> ResNet:
    """Build ResNet-50."""
    return ResNet(Bottleneck, Bottleneck.expansion, (3, 4, 6, 3))


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
