"""The network of Figure 2."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.config import AlexNetConfig, Layer
from alexnet.models.init import ACTIVATIONS, init_normal, stream
from alexnet.ops.dropout import paper_dropout
from alexnet.ops.lrn import local_response_norm, within_map_lrn
from alexnet.ops.pooling import max_pool


class AlexNet(nn.Module):
    """The network of Figure 2 with the switches of its config, initialised as in §5.

    Takes float images [N, 3, image_size, image_size] (grey levels minus the mean image), returns
    class scores [N, classes]. `layers` holds conv1, ..., fc8 by name. Both columns are in one
    module, the first in the lower maps; columns that do not meet are groups of a convolution.
    Without a seed torch's generator draws the weights. Raises ValueError if the images are too
    small for the network.
    """

    def __init__(self, config: AlexNetConfig | None = None, seed: int | None = None) -> None:
        super().__init__()
        self.config = config = config or AlexNetConfig()
        self.activation = ACTIVATIONS[config.activation]
        self.specs = {spec.name: spec for spec in config.layers()}
        for spec in self.specs.values():
            if min(spec.kernel, spec.side) < 1:
                raise ValueError(f"images of {config.image_size} pixels end before {spec.name}")
        with torch.random.fork_rng([]):  # torch's own initial values are replaced
            modules = {name: _module(spec) for name, spec in self.specs.items()}
        self.layers = nn.ModuleDict(modules)
        self.init_weights(seed)

    def init_weights(self, seed: int | None) -> None:
        """Draw every layer's weights and set its biases (§5), each layer from its own stream."""
        for name, spec in self.specs.items():
            number = int(name[-1]) + (10 if name.startswith("fc") else 0)
            init_normal(self.layers[name], spec.std, spec.bias, stream(seed, number))

    def save(self, path: Path | str) -> None:
        """Write config and weights as safetensors, whole or not at all; `alexnet.load` reads it."""
        from alexnet.weights import export_weights  # noqa: PLC0415 - which imports this module

        export_weights(Path(path), self.config, self.state_dict())

    def forward(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Class scores [N, classes] of images [N, 3, H, W].

        In training dropout's masks come from `generator`, by default torch's own.
        """
        scores: Tensor = self.layers["fc8"](self.features(images, generator))
        return scores

    def features(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The output of the last hidden layer, fc7 [N, 4096]: the features of Figure 4."""
        x = self.conv_features(images).flatten(1)
        for name in ("fc6", "fc7"):
            x = self.activation(self.layers[name](x))
            if self.config.dropout:
                x = paper_dropout(x, training=self.training, generator=generator)
        return x

    def conv_features(self, images: Tensor) -> Tensor:
        """The output of the last convolutional stage: [N, 256, 6, 6] of 224-pixel images."""
        x = F.pad(images, (0, self.config.input_padding) * 2)
        for name, spec in self.specs.items():
            if name.startswith("conv"):
                x = self._activate_normalise_pool(spec, self.layers[name](x))
        return x

    def _activate_normalise_pool(self, spec: Layer, x: Tensor) -> Tensor:
        late = spec.name == "conv1" and self.config.first_stage == "norm-pool-relu"
        x = self._normalise(spec, x if late else self.activation(x))
        if spec.pool:
            x = max_pool(x, self.config.pool_size)
        return self.activation(x) if late else x

    def _normalise(self, spec: Layer, x: Tensor) -> Tensor:
        c = self.config
        if spec.lrn:
            alpha = c.lrn_alpha / c.lrn_size if c.lrn_alpha_over_n else c.lrn_alpha
            columns = c.columns if c.lrn_scope == "column" else 1
            x = local_response_norm(x, c.lrn_size, alpha, c.lrn_beta, c.lrn_k, columns)
        if spec.name == "conv2" and c.within_map_lrn:
            # cnorm2 of layers-145.cfg: size 5, scale 0.001, pow 0.75, no minDiv
            x = within_map_lrn(x, 5, 1e-3 / 25, 0.75, 1.0)
        return x


def _module(spec: Layer) -> nn.Module:
    if spec.name.startswith("fc"):
        return nn.Linear(spec.inputs * spec.kernel**2, spec.outputs)
    maps, shape = spec.inputs * spec.columns, (spec.kernel, spec.stride, spec.padding)
    return nn.Conv2d(maps, spec.outputs, *shape, groups=spec.columns)
