"""Locally connected nets: their sizes, and values and gradients against the formula."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from test_model import convolve, pool
from torch import Tensor

from alexnet.config import LocallyConnectedConfig, LocallyConnectedRecipe
from alexnet.models import LocallyConnectedNet

pytestmark = pytest.mark.numerical

BOTH = ("conv1", "conv2")
FIRST = LocallyConnectedConfig(lrn_layers=BOTH)  # the first version of the 11 % file
CONFIGS = {
    "13pct": LocallyConnectedConfig(),
    "first 11pct": FIRST,
    "11pct": LocallyConnectedConfig.published_11pct(),
}


def test_golden_counts() -> None:
    layers = LocallyConnectedConfig().layers()
    assert [layer.parameters for layer in layers] == [4_864, 102_464, 664_704, 332_928, 11_530]
    assert sum(layer.parameters for layer in layers) == 1_116_490
    assert [layer.units for layer in layers] == [64 * 24**2, 64 * 12**2, 32 * 6**2, 32 * 6**2, 10]
    assert (
        sum(layer.multiply_accumulates for layer in layers)
        == 2_764_800 + 14_745_600 + 663_552 + 331_776 + 11_520
    )
    assert (
        sum(layer.parameters for layer in LocallyConnectedConfig.published_11pct().layers())
        == 2_112_970
    )


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_the_net_has_what_is_counted(config: LocallyConnectedConfig) -> None:
    net = LocallyConnectedNet(config)
    for name, spec in net.specs.items():
        assert sum(p.numel() for p in getattr(net, name).parameters()) == spec.parameters
    assert net(torch.zeros(2, 3, 24, 24)).shape == (2, 10)


def normalise(x: Tensor, config: LocallyConnectedConfig) -> Tensor:
    """Many values at once of what `naive_response_norm` computes one by one."""
    maps = x.shape[1]
    near = [
        slice(max(0, i - config.lrn_size // 2), i + config.lrn_size // 2 + 1) for i in range(maps)
    ]
    sums = torch.stack([x[:, part].square().sum(1) for part in near], 1)
    return x / (config.lrn_k + config.lrn_alpha / config.lrn_size * sums) ** config.lrn_beta


def local(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Every position a product of its own."""
    height, width, _, size, _, _ = weight.shape
    padded = F.pad(x, (size // 2,) * 4)
    rows = [
        [
            torch.einsum("ncuv,ouvc->no", padded[:, :, i : i + size, j : j + size], weight[i, j])
            + bias[i, j]
            for j in range(width)
        ]
        for i in range(height)
    ]
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def formula(net: LocallyConnectedNet, images: Tensor) -> Tensor:
    """As the file lists them: nonlinearity after every layer, norm and pooling in its order."""
    config = net.config
    x = convolve(images, net.conv1.weight, net.conv1.bias).clamp(min=0)
    late = config.first_stage == "relu-pool-norm"
    x = normalise(x, config) if "conv1" in config.lrn_layers and not late else x
    x = pool(x, "max")
    x = normalise(x, config) if "conv1" in config.lrn_layers and late else x
    x = convolve(x, net.conv2.weight, net.conv2.bias).clamp(min=0)
    x = pool(normalise(x, config) if "conv2" in config.lrn_layers else x, "max")
    for layer in (net.local3, net.local4):
        x = local(x, layer.weight, layer.bias).clamp(min=0)
    return x.flatten(1) @ net.fc10.weight.T + net.fc10.bias


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_values_and_gradients_are_the_formulas(config: LocallyConnectedConfig) -> None:
    config = replace(config, conv_widths=(12, 11), local_widths=(4, 3), lrn_alpha=0.5)
    net = LocallyConnectedNet(config, seed=1).double()
    # normalisation sees something
    torch.nn.init.normal_(net.conv1.weight, 0.0, 0.1, generator=torch.Generator().manual_seed(0))
    images = torch.randn(
        2, 3, 24, 24, dtype=torch.float64, generator=torch.Generator().manual_seed(5)
    )
    ours, theirs = net(images), formula(net, images)
    torch.testing.assert_close(ours, theirs)
    parameters = list(net.parameters())
    gradients = [
        torch.autograd.grad(F.cross_entropy(scores, torch.tensor([0, 7])), parameters)
        for scores in (ours, theirs)
    ]
    torch.testing.assert_close(*gradients)
    assert all(gradient.abs().max() > 0 for gradient in gradients[0])


def test_weights_have_their_spread_and_arms_start_alike() -> None:
    nets = [LocallyConnectedNet(config, seed=0) for config in (LocallyConnectedConfig(), FIRST)]
    for name, std in (
        ("conv1", 1e-4),
        ("conv2", 0.01),
        ("local3", 0.04),
        ("local4", 0.04),
        ("fc10", 0.01),
    ):
        layers = [getattr(net, name) for net in nets]
        assert layers[0].weight.std().item() == pytest.approx(std, rel=0.03)
        assert torch.equal(layers[0].weight, layers[1].weight)
        assert not layers[0].bias.any()
    other = LocallyConnectedNet(FIRST, seed=1)
    assert not torch.equal(nets[0].local3.weight, other.local3.weight)


def test_courses() -> None:
    narrow, wide = LocallyConnectedRecipe(), LocallyConnectedRecipe.published_11pct()
    of_2012 = (100 * 40_000 + 60 * 50_000, 350 * 40_000 + 170 * 50_000)
    for recipe, images in zip((narrow, wide), of_2012, strict=True):
        assert recipe.epochs * 50_000 == images
        assert recipe.lr_milestones == (recipe.epochs - 20, recipe.epochs - 10)
        milestones = tuple(drop // 10 for drop in recipe.lr_milestones)
        assert recipe.mini() == replace(
            recipe, epochs=recipe.epochs // 10, lr_milestones=milestones
        )
    assert wide.weight_decay[4] == 2.5 * narrow.weight_decay[4]
