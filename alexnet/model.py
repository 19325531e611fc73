"""The networks of the paper, built from their configs."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.config import AlexNetConfig, CifarNetConfig, Layer
from alexnet.config_local import LocalNetConfig
from alexnet.layers import average_pool, locally_connected, max_pool, paper_dropout, response_norm, within_map_norm

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
        x = self.activation(max_pool(self.conv1(images)))  # type: ignore[operator]  # [N, 32, 16, 16]
        x = average_pool(self.activation(self.conv2(x)))  # type: ignore[operator]  # [N, 32, 8, 8]
        x = average_pool(self.activation(self.conv3(x)))  # type: ignore[operator]  # [N, 64, 4, 4]
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


class AlexNet(nn.Module):
    """The network of Figure 2 with the switches of its config; both columns live in one module, the first in the lower maps.

    Takes float images [N, 3, image_size, image_size] (grey levels minus the mean image), returns class scores [N, classes].
    `layers` holds conv1, ..., fc8 by name. Columns that do not meet are groups of a convolution.
    """

    def __init__(self, config: AlexNetConfig) -> None:
        super().__init__()
        self.config = config
        self.specs = {spec.name: spec for spec in config.layers()}
        self.layers = nn.ModuleDict()
        for spec in self.specs.values():
            if spec.name.startswith("fc"):
                self.layers[spec.name] = nn.Linear(spec.inputs * spec.kernel**2, spec.outputs)
            else:
                maps, shape = spec.inputs * spec.columns, (spec.kernel, spec.stride, spec.padding)
                self.layers[spec.name] = nn.Conv2d(maps, spec.outputs, *shape, groups=spec.columns)
        self.dropout_key = 0  # which masks the next training pass draws: a run sets it before every step

    def forward(self, images: Tensor) -> Tensor:
        """Class scores [N, classes] of images [N, 3, H, W]."""
        hidden = self.hidden(images)
        scores: Tensor = self.layers["fc8"](hidden)
        return scores

    def hidden(self, images: Tensor) -> Tensor:
        """What the last hidden layer, fc7, passes on [N, 4096]: the features of Figure 4 (halved at test, as dropout wants it)."""
        x = self.convolve(images).flatten(1)
        generator = self.generator(images.device) if self.training and self.config.dropout else None
        for name in ("fc6", "fc7"):
            x = ACTIVATIONS[self.config.activation](self.layers[name](x))  # type: ignore[operator]
            if self.config.dropout:
                x = paper_dropout(x, generator)
        return x

    def generator(self, device: torch.device) -> torch.Generator:
        """What draws the masks that `dropout_key` says."""
        return torch.Generator(device).manual_seed(self.dropout_key)

    def convolve(self, images: Tensor) -> Tensor:
        """What the last convolution passes on: [N, 256, 6, 6] of 224-pixel images."""
        x = F.pad(images, (0, self.config.border, 0, self.config.border))
        for name, spec in self.specs.items():
            if name.startswith("conv"):
                x = self.finish(spec, self.layers[name](x))
        return x

    def finish(self, spec: Layer, x: Tensor) -> Tensor:
        """Everything between one convolution and the next: nonlinearity, normalisation and pooling in the profile's order."""
        activation = ACTIVATIONS[self.config.activation]
        late = spec.name == "conv1" and self.config.first_stage == "norm-pool-relu"
        x = x if late else activation(x)  # type: ignore[operator]
        x = self.normalise(spec, x)
        if spec.pooled:
            x = max_pool(x, self.config.pool_size)
        return activation(x) if late else x  # type: ignore[operator]

    def normalise(self, spec: Layer, x: Tensor) -> Tensor:
        """Response normalisation where the layer has it; after conv2 also within each map, where the config asks for that."""
        c = self.config
        if spec.normed:
            alpha = c.norm_alpha / c.norm_size if c.norm_divided else c.norm_alpha
            x = response_norm(x, c.norm_size, alpha, c.norm_beta, c.norm_k, c.columns if c.norm_span == "column" else 1)
        if spec.name == "conv2" and c.within_map_norm:
            x = within_map_norm(x, 5, 1e-3 / 25, 0.75, 1.0)  # cnorm2 of layers-145.cfg: size 5, scale 0.001, pow 0.75, no minDiv
        return x


def init_alexnet(net: AlexNet, seed: int) -> None:
    """Draw every layer's weights from N(0, std²) and set its biases (§5) by the config of `net`, from a generator of their own.

    Each layer has its own stream, so that two networks that differ in one layer start alike in all others.
    """
    for name, spec in net.specs.items():
        layer = net.layers[name]
        stream = torch.Generator().manual_seed(seed * 100 + int(name[-1]) + (10 if name.startswith("fc") else 0))
        nn.init.normal_(layer.weight, 0.0, spec.std, generator=stream)  # type: ignore[arg-type]
        nn.init.constant_(layer.bias, spec.bias)  # type: ignore[arg-type]


class LocallyConnected(nn.Module):
    """`locally_connected` with weights of its own: maps [N, inputs, side, side] to [N, outputs, side, side]."""

    def __init__(self, spec: Layer) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(spec.side, spec.side, spec.outputs, spec.kernel, spec.kernel, spec.inputs))
        self.bias = nn.Parameter(torch.empty(spec.side, spec.side, spec.outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Maps [N, outputs, side, side]."""
        return locally_connected(x, self.weight, self.bias)


class LocalNet(nn.Module):
    """The CIFAR-10 net of §3.3 (`layers-conv-local-13pct.cfg` and `-11pct.cfg`), with or without response normalisation.

    Takes float images [N, 3, 24, 24] (grey levels minus the mean image), returns class scores [N, 10].
    """

    def __init__(self, config: LocalNetConfig) -> None:
        super().__init__()
        self.config = config
        self.specs = {spec.name: spec for spec in config.layers()}
        conv1, conv2, local3, local4, fc10 = config.layers()
        self.conv1 = nn.Conv2d(conv1.inputs, conv1.outputs, conv1.kernel, padding=conv1.padding)
        self.conv2 = nn.Conv2d(conv2.inputs, conv2.outputs, conv2.kernel, padding=conv2.padding)
        self.local3, self.local4 = LocallyConnected(local3), LocallyConnected(local4)
        self.fc10 = nn.Linear(fc10.inputs * fc10.kernel**2, fc10.outputs)

    def forward(self, images: Tensor) -> Tensor:
        """Class scores [N, 10] of images [N, 3, 24, 24]."""
        x = self.finish("conv1", self.conv1(images), late=self.config.first_stage == "relu-pool-norm")  # [N, 64, 12, 12]
        x = self.finish("conv2", self.conv2(x), late=False)  # [N, 64, 6, 6]
        x = F.relu(self.local4(F.relu(self.local3(x))))  # [N, 32, 6, 6]
        return self.fc10(x.flatten(1))  # type: ignore[no-any-return]

    def finish(self, name: str, x: Tensor, *, late: bool) -> Tensor:
        """ReLU, max-pooling and, before it or `late` behind it, normalisation where the convolution has it.

        ReLU stands behind the pooling where nothing comes between them: the same values and gradients at a quarter of the work.
        """
        c, normed = self.config, self.specs[name].normed
        if normed and not late:
            x = response_norm(F.relu(x), c.norm_size, c.norm_alpha / c.norm_size, c.norm_beta, c.norm_k)
            return max_pool(x)
        x = F.relu(max_pool(x))
        return response_norm(x, c.norm_size, c.norm_alpha / c.norm_size, c.norm_beta, c.norm_k) if normed else x


def init_local(net: LocalNet, seed: int) -> None:
    """Draw every layer's weights from N(0, std²) by the config of `net`, from streams of their own; biases are zero."""
    for number, (name, spec) in enumerate(net.specs.items(), start=1):
        layer, stream = getattr(net, name), torch.Generator().manual_seed(seed * 100 + number)
        nn.init.normal_(layer.weight, 0.0, spec.std, generator=stream)
        nn.init.zeros_(layer.bias)
