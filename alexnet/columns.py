"""The two columns of Figure 2 on two devices, which exchange activations only where the paper lets them (§3.2, §3.5).

Each device computes half of every layer's maps or units and holds the weights that make them; class scores are computed on the
first (`layers-145.cfg`). Of one 224-pixel image these values cross over on the way forward, and as many gradients on the way back:

    conv3   43,264   each device's 128 maps of 13 × 13 to the other
    fc6      9,216   each device's 128 maps of 6 × 6 to the other
    fc7      4,096   each device's 2,048 units to the other
    fc8      2,048   the second device's units to the first

58,624 in all, of 659,272 units; a sixth convolution adds the 9,216 values that it reads. The images themselves go to both.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.config import AlexNetConfig, Layer
from alexnet.layers import paper_dropout
from alexnet.model import ACTIVATIONS, AlexNet


def sees_both(spec: Layer) -> bool:
    """Whether the layer's units read what both columns passed on. conv1 reads the image, which is no exchange."""
    return spec.name != "conv1" and spec.columns == 1


def exchanged(config: AlexNetConfig) -> dict[str, int]:
    """How many values of one image cross from device to device on the way forward, by the layer that reads them."""
    crossing = {}
    for spec in config.layers():
        if sees_both(spec):
            side = spec.side if spec.name.startswith("conv") else spec.kernel  # of what the layer reads
            crossing[spec.name] = spec.inputs * side**2
    crossing["fc8"] //= 2  # computed where half of its inputs are
    return crossing


class TwoColumns(nn.Module):
    """AlexNet's weights and arithmetic on two devices: the scores, gradients and dropout masks of the network it is made of.

    The devices should be of one kind: generators of different kinds draw different masks. Parameters are called
    "first.layers.conv1.weight" and so on, so that `layer_groups` gives each its layer's rate.
    Raises ValueError if the network is not made of two equal columns.
    """

    def __init__(self, net: AlexNet, devices: tuple[torch.device, torch.device]) -> None:
        super().__init__()
        self.config, self.specs, self.devices = net.config, net.specs, devices
        if net.config.columns != 2 or any(width % 2 for width in (*net.config.conv_widths, *net.config.hidden_widths)):
            raise ValueError(
                f"a network of {net.config.columns} column(s) of {net.config.conv_widths} maps has no two equal halves"
            )
        if net.config.norm_span != "column" and net.config.normed:
            raise ValueError(
                "response normalisation over the whole layer would need an exchange of maps that the paper does not have"
            )
        self.first, self.second = (column_of(net, number).to(device) for number, device in enumerate(devices))
        self.dropout_key = net.dropout_key  # as in AlexNet: which masks the next training pass draws

    def forward(self, images: Tensor) -> Tensor:
        """Class scores [N, classes], on the first device, of images [N, 3, H, W] from wherever they are."""
        scores: Tensor = self.first.layers["fc8"](self.hidden(images))
        return scores

    def hidden(self, images: Tensor) -> Tensor:
        """What both columns' fc7 pass on [N, 4096], together on the first device."""
        border = self.config.border
        halves = [F.pad(images.to(device), (0, border, 0, border)) for device in self.devices]
        for name, spec in self.specs.items():
            if name.startswith("conv"):
                halves = self.exchange(halves) if sees_both(spec) else halves
                halves = [column.finish(spec, column.layers[name](half)) for column, half in zip(self.columns, halves, strict=True)]
        halves = [half.flatten(1) for half in halves]
        generators = self.generators()
        for name in ("fc6", "fc7"):
            halves = [
                ACTIVATIONS[self.config.activation](column.layers[name](both))  # type: ignore[operator]
                for column, both in zip(self.columns, self.exchange(halves), strict=True)
            ]
            if self.config.dropout:
                units = self.specs[name].outputs
                halves = [dropped(half, units, k, generators[k]) for k, half in enumerate(halves)]
        return torch.cat([halves[0], send(halves[1], self.devices[0])], 1)

    @property
    def columns(self) -> tuple[AlexNet, AlexNet]:
        """Both columns, each on its device."""
        return self.first, self.second

    def exchange(self, halves: Sequence[Tensor]) -> list[Tensor]:
        """What both columns have, first column's first, on both devices."""
        first, second = halves
        return [
            torch.cat([first, send(second, self.devices[0])], 1),
            torch.cat([send(first, self.devices[1]), second], 1),
        ]

    def generators(self) -> list[torch.Generator | None]:
        """One for each device, in the same state: each draws the masks of the whole layer and uses its column's half."""
        if not (self.training and self.config.dropout):
            return [None, None]
        return [torch.Generator(device).manual_seed(self.dropout_key) for device in self.devices]

    def whole_state(self) -> dict[str, Tensor]:
        """The weights as one AlexNet's `state_dict` has them, on the first device."""
        first, second = (column.state_dict() for column in self.columns)
        return {
            name: torch.cat([weight, second[name].to(weight.device)]) if name in second else weight
            for name, weight in first.items()
        }


def send(x: Tensor, device: torch.device) -> Tensor:
    """One column's values on the other's device; their gradient comes back the same way. All exchange goes through here."""
    return x.to(device)


def dropped(half: Tensor, units: int, number: int, generator: torch.Generator | None) -> Tensor:
    """One half of a hidden layer under its part of the mask that one device would draw for all `units`."""
    mask = paper_dropout(half.new_ones(len(half), units), generator)
    return half * mask[:, half_of(units, number)]


def column_of(net: AlexNet, number: int) -> AlexNet:
    """One column with copies of its weights. Layers that see both columns keep all their inputs; fc8 is in the first alone."""
    c = net.config
    narrow = replace(
        c,
        columns=1,
        conv_widths=tuple(width // 2 for width in c.conv_widths),
        hidden_widths=tuple(width // 2 for width in c.hidden_widths),
    )
    column = AlexNet(narrow)
    column.layers.clear()
    for name, spec in net.specs.items():
        if name != "fc8" or number == 0:
            column.layers[name] = part_of(net.layers[name], spec, slice(None) if name == "fc8" else half_of(spec.outputs, number))
    return column


def half_of(count: int, number: int) -> slice:
    """The first (0) or second (1) half of `count` maps or units."""
    return slice(number * count // 2, (number + 1) * count // 2)


def part_of(layer: nn.Module, spec: Layer, units: slice) -> nn.Module:
    """The layer that computes some of the units of `layer`, with copies of their weights."""
    weight, bias = (parameter.detach()[units].clone() for parameter in (layer.weight, layer.bias))  # type: ignore[operator]
    part: nn.Conv2d | nn.Linear
    if weight.ndim == 2:
        part = nn.Linear(weight.shape[1], len(weight), device="meta")
    else:
        part = nn.Conv2d(weight.shape[1], len(weight), spec.kernel, spec.stride, spec.padding, device="meta")
    part.weight, part.bias = nn.Parameter(weight), nn.Parameter(bias)
    return part
