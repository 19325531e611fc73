"""The CIFAR-10 network of Figure 1."""

import torch
from torch import Tensor, nn

from alexnet.config import CifarNetConfig
from alexnet.models.init import ACTIVATIONS, init_normal
from alexnet.ops.pooling import average_pool, max_pool


class CifarNet(nn.Module):
    """The four-weight-layer net of Figure 1 (§3.1; `layers-19pct.cfg`).

    Takes float images [N, 3, 32, 32] (mean image subtracted), returns class scores [N, 10].
    conv1 → max-pool → nonlinearity is the order of the 2012 file. Since both nonlinearities are
    monotone it gives the values and gradients of conv1 → nonlinearity → max-pool at a quarter of
    the work.
    """

    def __init__(self, config: CifarNetConfig | None = None, seed: int | None = None) -> None:
        super().__init__()
        self.config = config = config or CifarNetConfig()
        first, second, third = config.widths
        self.activation = ACTIVATIONS[config.activation]
        with torch.random.fork_rng([]):  # torch's own initial values are replaced
            self.conv1 = nn.Conv2d(3, first, 5, padding=2)
            self.conv2 = nn.Conv2d(first, second, 5, padding=2)
            self.conv3 = nn.Conv2d(second, third, 5, padding=2)
            side = config.image_size // 8
            self.fc10 = nn.Linear(third * side**2, config.classes)
        self.init_weights(seed)

    def init_weights(self, seed: int | None) -> None:
        """Draw all weights in order, by a seed or from torch's generator; biases are zero.

        "2012" is N(0, std²) per layer (initW of `layers-19pct.cfg`); "modern" is He-normal before
        a ReLU and Glorot-normal before a tanh and before the softmax. Both arms of a comparison
        start from the same draws.
        """
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        layers = (self.conv1, self.conv2, self.conv3, self.fc10)
        for layer, std in zip(layers, self.config.init_std, strict=True):
            if self.config.init == "2012":
                init_normal(layer, std, 0.0, generator)
                continue
            weight: Tensor = layer.weight  # type: ignore[assignment]
            if self.config.activation == "relu" and layer is not self.fc10:
                nn.init.kaiming_normal_(weight, nonlinearity="relu", generator=generator)
            else:
                nn.init.xavier_normal_(weight, generator=generator)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # they have one

    def forward(self, images: Tensor) -> Tensor:
        """Class scores [N, 10] of images [N, 3, 32, 32]."""
        x = self.activation(max_pool(self.conv1(images)))  # [N, 32, 16, 16]
        x = average_pool(self.activation(self.conv2(x)))  # [N, 32, 8, 8]
        x = average_pool(self.activation(self.conv3(x)))  # [N, 64, 4, 4]
        scores: Tensor = self.fc10(x.flatten(1))
        return scores
