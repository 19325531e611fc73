"""The CIFAR-10 networks of §3.3."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.config import Layer, LocallyConnectedConfig
from alexnet.models.init import init_normal, stream
from alexnet.ops.locally_connected import locally_connected
from alexnet.ops.lrn import local_response_norm
from alexnet.ops.pooling import max_pool


class LocallyConnected(nn.Module):
    """`locally_connected` with weights: [N, inputs, side, side] to [N, outputs, side, side]."""

    def __init__(self, spec: Layer) -> None:
        super().__init__()
        position = (spec.side, spec.side, spec.outputs)
        self.weight = nn.Parameter(torch.empty(*position, spec.kernel, spec.kernel, spec.inputs))
        self.bias = nn.Parameter(torch.empty(position))

    def forward(self, x: Tensor) -> Tensor:
        """Maps [N, outputs, side, side]."""
        return locally_connected(x, self.weight, self.bias)


class LocallyConnectedNet(nn.Module):
    """`layers-conv-local-13pct.cfg` or `-11pct.cfg`, with or without response normalisation.

    Takes float images [N, 3, 24, 24] (grey levels minus the mean image), returns class scores
    [N, 10].
    """

    def __init__(
        self, config: LocallyConnectedConfig | None = None, seed: int | None = None
    ) -> None:
        super().__init__()
        self.config = config = config or LocallyConnectedConfig()
        self.specs = {spec.name: spec for spec in config.layers()}
        conv1, conv2, local3, local4, fc10 = config.layers()
        with torch.random.fork_rng([]):  # torch's own initial values are replaced
            self.conv1 = nn.Conv2d(conv1.inputs, conv1.outputs, conv1.kernel, padding=conv1.padding)
            self.conv2 = nn.Conv2d(conv2.inputs, conv2.outputs, conv2.kernel, padding=conv2.padding)
            self.local3, self.local4 = LocallyConnected(local3), LocallyConnected(local4)
            self.fc10 = nn.Linear(fc10.inputs * fc10.kernel**2, fc10.outputs)
        self.init_weights(seed)

    def init_weights(self, seed: int | None) -> None:
        """Draw every layer's weights from N(0, std²), each layer from its own stream."""
        for number, (name, spec) in enumerate(self.specs.items(), start=1):
            init_normal(getattr(self, name), spec.std, spec.bias, stream(seed, number))

    def forward(self, images: Tensor) -> Tensor:
        """Class scores [N, 10] of images [N, 3, 24, 24]."""
        late = self.config.first_stage == "relu-pool-norm"
        x = self._activate_normalise_pool("conv1", self.conv1(images), late=late)  # [N, 64, 12, 12]
        x = self._activate_normalise_pool("conv2", self.conv2(x), late=False)  # [N, 64, 6, 6]
        x = F.relu(self.local4(F.relu(self.local3(x))))  # [N, 32, 6, 6]
        scores: Tensor = self.fc10(x.flatten(1))
        return scores

    def _activate_normalise_pool(self, name: str, x: Tensor, *, late: bool) -> Tensor:
        """ReLU, max-pooling and, before it or `late` after it, normalisation if there is one.

        ReLU follows the pooling where nothing comes between them: the same values and gradients
        at a quarter of the work.
        """
        if self.specs[name].lrn and not late:
            return max_pool(self._normalise(F.relu(x)))
        x = F.relu(max_pool(x))
        return self._normalise(x) if self.specs[name].lrn else x

    def _normalise(self, x: Tensor) -> Tensor:
        c = self.config
        return local_response_norm(x, c.lrn_size, c.lrn_alpha / c.lrn_size, c.lrn_beta, c.lrn_k)
