"""The networks of the paper, built from their configs."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.config import CifarNetConfig

ACTIVATIONS = {"relu": F.relu, "tanh": torch.tanh}


class CifarNet(nn.Module):
    """The four-weight-layer net of Figure 1 (§3.1; `layers-19pct.cfg`).

    Takes float images [N, 3, 32, 32] (mean image subtracted), returns class scores [N, 10].
    conv1 → max-pool → nonlinearity is the order of the 2012 file; since both nonlinearities are monotone it gives the values
    and gradients of conv1 → nonlinearity → max-pool at a quarter of the work.
    """

    def __init__(self, config: CifarNetConfig) -> None:
        super().__init__()
        first, second, third = config.widths
        self.activation = ACTIVATIONS[config.activation]
        self.conv1 = nn.Conv2d(3, first, 5, padding=2)
        self.conv2 = nn.Conv2d(first, second, 5, padding=2)
        self.conv3 = nn.Conv2d(second, third, 5, padding=2)
        side = -(-config.image_size // 8)
        self.fc10 = nn.Linear(third * side**2, config.classes)

    def forward(self, images: Tensor) -> Tensor:
        """Class scores [N, 10] of images [N, 3, 32, 32]."""
        x = self.activation(F.max_pool2d(self.conv1(images), 3, 2, ceil_mode=True))  # type: ignore[operator]  # [N, 32, 16, 16]
        x = F.avg_pool2d(self.activation(self.conv2(x)), 3, 2, ceil_mode=True)  # type: ignore[operator]  # [N, 32, 8, 8]
        x = F.avg_pool2d(self.activation(self.conv3(x)), 3, 2, ceil_mode=True)  # type: ignore[operator]  # [N, 64, 4, 4]
        return self.fc10(x.flatten(1))  # type: ignore[no-any-return]


def init_weights(net: CifarNet, config: CifarNetConfig, seed: int) -> None:
    """Draw all weights from a generator of their own, so that both arms of a comparison start alike; biases are zero.

    "2012" is N(0, std²) per layer (initW of `layers-19pct.cfg`); "modern" is He-normal before a ReLU and Glorot-normal
    before a tanh and before the softmax.
    """
    generator = torch.Generator().manual_seed(seed)
    layers = (net.conv1, net.conv2, net.conv3, net.fc10)
    for layer, std in zip(layers, config.init_std, strict=True):
        if config.init == "2012":
            nn.init.normal_(layer.weight, 0.0, std, generator=generator)  # type: ignore[arg-type]
        elif config.activation == "relu" and layer is not net.fc10:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)  # type: ignore[arg-type]
        else:
            nn.init.xavier_normal_(layer.weight, generator=generator)  # type: ignore[arg-type]
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
