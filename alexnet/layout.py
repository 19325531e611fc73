"""Whether the two columns of a layer are computed as the groups of one convolution or as a dense convolution each.

Libraries for GPUs have been slow with groups in channels-last memory. Which is faster depends on the device, the library and the
shape, so a training on a GPU finds out at its start. Both give the same values up to rounding, from the same parameters; a
checkpoint and the record tell the choice, so that a run that is continued has the bits of one that was not. On a processor a
training begins with groups.
"""

import time
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.graph import capture

ROUNDS, CALLS = 5, 10  # the best of so many rounds of so many calls
GAIN = 1.1  # dense ones must be so much faster: of two that are alike, chance shall not choose


class GroupedConv(nn.Conv2d):
    """`nn.Conv2d` in groups that is computed, where `dense` is set, by one dense convolution for each."""

    dense = False

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Maps [N, out_channels, H', W'] of maps [N, in_channels, H, W]."""
        if not self.dense:
            return super().forward(input)
        assert self.bias is not None
        parts = zip(input.chunk(self.groups, 1), self.weight.chunk(self.groups), self.bias.chunk(self.groups), strict=True)
        return torch.cat([F.conv2d(x, weight, bias, self.stride, self.padding) for x, weight, bias in parts], 1)


def grouped(net: nn.Module) -> dict[str, GroupedConv]:
    """The layers of a network that have groups, by name."""
    return {name: layer for name, layer in net.named_modules() if isinstance(layer, GroupedConv) and layer.groups > 1}


def set_dense(net: nn.Module, names: Sequence[str]) -> None:
    """Compute these layers by dense convolutions and all others by groups."""
    for name, layer in grouped(net).items():
        layer.dense = name in names


def dense_names(net: nn.Module) -> list[str]:
    """The layers that are computed by dense convolutions."""
    return [name for name, layer in grouped(net).items() if layer.dense]


def faster_dense(net: nn.Module, images: Tensor, precision: str) -> list[str]:
    """The layers that dense convolutions compute faster on the GPU of `images`, forward and backward; `net` is left as it was.

    Timed as CUDA graphs, as they will run. Where these are not to be had the launches are what takes long, and groups have fewest.
    """
    layers, before = grouped(net), dense_names(net)
    given: dict[str, Tensor] = {}
    hooks = [
        layer.register_forward_pre_hook(lambda _, inputs, name=name: given.update({name: inputs[0].detach()}))
        for name, layer in layers.items()
    ]
    try:
        with torch.no_grad(), torch.autocast(images.device.type, torch.bfloat16, enabled=precision == "bf16"):
            net(images)
        return [name for name, layer in layers.items() if gains(layer, given[name], precision)]
    except RuntimeError:
        return []
    finally:
        set_dense(net, before)
        for hook in hooks:
            hook.remove()


def gains(layer: GroupedConv, x: Tensor, precision: str) -> bool:
    """Whether dense convolutions are clearly faster for this layer and input."""
    bodies = []
    for dense in (False, True):
        layer.dense = dense
        bodies.append(capture(both_ways(layer, x, precision), None))
    best = [float("inf")] * 2
    for _ in range(ROUNDS):
        best = [min(least, seconds(body, x.device)) for least, body in zip(best, bodies, strict=True)]
    return best[0] > GAIN * best[1]


def both_ways(layer: nn.Module, x: Tensor, precision: str) -> Callable[[], None]:
    """The layer forward and backward, its results left alone."""
    x = x.clone().requires_grad_()

    def body() -> None:
        with torch.autocast(x.device.type, torch.bfloat16, enabled=precision == "bf16"):
            y = layer(x)
        torch.autograd.grad(y, [x, *layer.parameters()], torch.ones_like(y))

    return body


def seconds(body: Callable[[], None], device: torch.device) -> float:
    """Of `CALLS` calls."""
    began = time.perf_counter()
    for _ in range(CALLS):
        body()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began
