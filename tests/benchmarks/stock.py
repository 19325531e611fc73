"""The peers' networks: ours in torch's own modules, with torch's own normalisation."""

from collections import OrderedDict
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from alexnet.config import AlexNetConfig

Norm = tuple[int, float, float, float]  # n, α, β, k


def stock_norm(size: int, alpha: float, beta: float, k: float) -> nn.LocalResponseNorm:
    """Torch divides α by n, the paper does not."""
    return nn.LocalResponseNorm(size, alpha * size, beta, k)


def stock_cifar_net(widths: tuple[int, int, int], norm: Norm | None) -> nn.Sequential:
    """`CifarNet`; with `norm` after the first pool and before the second, a max-pool."""
    first, second, third = widths
    normed = [stock_norm(*norm)] if norm else []
    pool = nn.MaxPool2d if norm else nn.AvgPool2d
    modules = {
        "conv1": nn.Conv2d(3, first, 5, padding=2),
        "after1": nn.Sequential(nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, ceil_mode=True), *normed),
        "conv2": nn.Conv2d(first, second, 5, padding=2),
        "after2": nn.Sequential(nn.ReLU(inplace=True), *normed, pool(3, 2, ceil_mode=True)),
        "conv3": nn.Conv2d(second, third, 5, padding=2),
        "after3": nn.Sequential(
            nn.ReLU(inplace=True), nn.AvgPool2d(3, 2, ceil_mode=True), nn.Flatten()
        ),
        "fc10": nn.Linear(16 * third, 10),
    }
    return nn.Sequential(OrderedDict(modules))


def stock_alexnet(config: AlexNetConfig) -> nn.Sequential:
    """`AlexNet`, its columns as groups, its normalisation over the whole layer."""
    modules: dict[str, nn.Module] = {
        "border": nn.ZeroPad2d((0, config.input_padding, 0, config.input_padding))
    }
    norm = stock_norm(config.lrn_size, config.lrn_alpha, config.lrn_beta, config.lrn_k)
    for spec in config.layers():
        if spec.name.startswith("fc"):
            before = [nn.Flatten()] if spec.name == "fc6" else [nn.ReLU(inplace=True), nn.Dropout()]
            modules[f"before_{spec.name}"] = nn.Sequential(*before)
            modules[spec.name] = nn.Linear(spec.inputs * spec.kernel**2, spec.outputs)
        else:
            maps = spec.inputs * spec.columns
            modules[spec.name] = nn.Conv2d(
                maps, spec.outputs, spec.kernel, spec.stride, spec.padding, groups=spec.columns
            )
            pool = [nn.MaxPool2d(3, 2, ceil_mode=True)] if spec.pool else []
            modules[f"after_{spec.name}"] = nn.Sequential(
                nn.ReLU(inplace=True), *([norm] if spec.lrn else []), *pool
            )
    return nn.Sequential(OrderedDict(modules))


def operations(net: nn.Module, images: Tensor) -> int:
    """FLOPs of the products and convolutions of one training step, as torch counts them."""
    with FlopCounterMode(display=False) as counter:
        net(images).sum().backward()
    return int(counter.get_total_flops())


def ideal_traffic(config: AlexNetConfig, batch: int) -> int:
    """Bytes that one training step moves at least, if everything is fused that can be.

    What a layer, a normalisation or a pool passes on is written and read in bf16, and so is its
    gradient, and it is read once more on the way back: five times 2 bytes. A parameter has 26: its
    weight and velocity read and written in fp32, its gradient written and read in bf16, its bf16
    copy written, and read on the way forward and back.
    """
    layers = config.layers()
    values = sum(spec.units * (2 if spec.lrn else 1) for spec in layers)
    for spec, after in pairwise(layers):
        side = after.kernel if after.name.startswith("fc") else after.side  # of what is passed on
        values += spec.outputs * side**2 if spec.pool else 0
    return batch * values * 5 * 2 + 26 * sum(spec.parameters for spec in layers)


def take_weights(net: nn.Sequential, ours: nn.Module) -> None:
    """Give a stock network the weights of ours, whose layers have the same names."""
    net.load_state_dict(
        {key.removeprefix("layers."): value for key, value in ours.state_dict().items()}
    )
    assert torch.equal(next(net.parameters()), next(ours.parameters()))
