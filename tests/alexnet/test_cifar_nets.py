"""The CIFAR nets: their sizes, and values and gradients against the formula."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from references import correlate, pool
from torch import Tensor, nn

from alexnet.config import CifarNetConfig, LocallyConnectedConfig, LocallyConnectedRecipe
from alexnet.models import CifarNet, LocallyConnectedNet

pytestmark = pytest.mark.numerical

# by the text and by both versions of the 11 % file
LOCAL = {
    "13pct": LocallyConnectedConfig(),
    "first 11pct": LocallyConnectedConfig(lrn_layers=("conv1", "conv2")),
    "11pct": LocallyConnectedConfig.published_11pct(),
}


def convolve(x: Tensor, layer: nn.Conv2d) -> Tensor:
    return correlate(x, layer.weight, layer.bias, 1, layer.weight.shape[-1] // 2, x.shape[-1])


def halve(x: Tensor, kind: str) -> Tensor:
    return pool(x, 3, -(-x.shape[-1] // 2), kind)


def cifar_formula(net: CifarNet, images: Tensor) -> Tensor:
    """The nonlinearity straight after every convolution, as §3.1 has it."""
    act = {"relu": lambda t: t.clamp(min=0), "tanh": torch.tanh}[net.config.activation]
    x = halve(act(convolve(images, net.conv1)), "max")
    x = halve(act(convolve(x, net.conv2)), "mean")
    x = halve(act(convolve(x, net.conv3)), "mean")
    return x.flatten(1) @ net.fc10.weight.T + net.fc10.bias


def normalise(x: Tensor, config: LocallyConnectedConfig) -> Tensor:
    reach = config.lrn_size // 2
    near = [slice(max(0, i - reach), i + reach + 1) for i in range(x.shape[1])]
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


def local_formula(net: LocallyConnectedNet, images: Tensor) -> Tensor:
    """As the file lists them: nonlinearity after every layer, norm and pooling in its order."""
    config = net.config
    x = convolve(images, net.conv1).clamp(min=0)
    late = config.first_stage == "relu-pool-norm"
    x = normalise(x, config) if "conv1" in config.lrn_layers and not late else x
    x = halve(x, "max")
    x = normalise(x, config) if "conv1" in config.lrn_layers and late else x
    x = convolve(x, net.conv2).clamp(min=0)
    x = halve(normalise(x, config) if "conv2" in config.lrn_layers else x, "max")
    for layer in (net.local3, net.local4):
        x = local(x, layer.weight, layer.bias).clamp(min=0)
    return x.flatten(1) @ net.fc10.weight.T + net.fc10.bias


NETS = {
    name: CifarNet(CifarNetConfig(activation=name, init="modern"), seed=1)
    for name in ("relu", "tanh")
}
SMALL = {"conv_widths": (12, 11), "local_widths": (4, 3), "lrn_alpha": 0.5}
NETS |= {name: LocallyConnectedNet(replace(c, **SMALL), seed=1) for name, c in LOCAL.items()}


@pytest.mark.parametrize("name", NETS)
def test_values_and_gradients_are_the_formulas(name: str) -> None:
    net, stream = NETS[name].double(), torch.Generator().manual_seed(5)
    if name in LOCAL:  # normalisation sees something
        nn.init.normal_(net.conv1.weight, 0.0, 0.1, generator=stream)
    side = net.config.image_size
    images = torch.randn(3, 3, side, side, dtype=torch.float64, generator=stream)
    theirs = (local_formula if name in LOCAL else cifar_formula)(net, images)
    ours = net(images)
    torch.testing.assert_close(ours, theirs)
    gradients = [
        torch.autograd.grad(F.cross_entropy(scores, torch.tensor([0, 4, 9])), [*net.parameters()])
        for scores in (ours, theirs)
    ]
    torch.testing.assert_close(*gradients)
    assert all(gradient.abs().max() > 0 for gradient in gradients[0])


def test_golden_counts() -> None:
    net = CifarNet()
    assert [layer.parameters for layer in net.config.layers()] == [2_432, 25_632, 51_264, 10_250]
    assert sum(p.numel() for p in net.parameters()) == 89_578  # layers-19pct.cfg on 32×32 images
    layers = LOCAL["13pct"].layers()
    assert [layer.parameters for layer in layers] == [4_864, 102_464, 664_704, 332_928, 11_530]
    assert [layer.units for layer in layers] == [64 * 24**2, 64 * 12**2, 32 * 6**2, 32 * 6**2, 10]
    products = 2_764_800 + 14_745_600 + 663_552 + 331_776 + 11_520
    assert sum(layer.multiply_accumulates for layer in layers) == products
    wide = LocallyConnectedNet(LOCAL["11pct"])
    assert sum(p.numel() for p in wide.parameters()) == 2_112_970
    assert sum(layer.parameters for layer in wide.config.layers()) == 2_112_970


def test_2012_weights_have_their_spread_and_arms_start_alike() -> None:
    cifar = [CifarNet(CifarNetConfig(activation=name), seed=0) for name in ("relu", "tanh")]
    local = [LocallyConnectedNet(LOCAL[name], seed=0) for name in ("13pct", "first 11pct")]
    stds = {"conv1": 1e-4, "conv2": 0.01, "conv3": 0.01, "fc10": 0.01}
    locals_ = {"conv1": 1e-4, "conv2": 0.01, "local3": 0.04, "local4": 0.04, "fc10": 0.01}
    for arms, spread in ((cifar, stds), (local, locals_)):
        for one, other in zip(*(net.parameters() for net in arms), strict=True):
            assert torch.equal(one, other)
        for name, std in spread.items():
            layer = getattr(arms[0], name)
            assert layer.weight.std().item() == pytest.approx(std, rel=0.05)
            assert not layer.bias.any()


def test_modern_weights_are_he_and_glorot() -> None:
    net = CifarNet(CifarNetConfig(init="modern"), seed=0)
    assert net.conv2.weight.std().item() == pytest.approx((2 / (32 * 25)) ** 0.5, rel=0.02)
    assert net.fc10.weight.std().item() == pytest.approx((2 / (1024 + 10)) ** 0.5, rel=0.03)
    net = CifarNet(CifarNetConfig(activation="tanh", init="modern"), seed=0)
    glorot = (2 / (32 * 25 + 64 * 25)) ** 0.5
    assert net.conv3.weight.std().item() == pytest.approx(glorot, rel=0.02)


def test_without_a_seed_torchs_generator_draws() -> None:
    torch.manual_seed(3)
    first, second = CifarNet(), CifarNet()
    torch.manual_seed(3)
    assert torch.equal(CifarNet().conv1.weight, first.conv1.weight)
    assert not torch.equal(second.conv1.weight, first.conv1.weight)
    seeds = [CifarNet(seed=seed).conv1.weight for seed in (0, 0, 1)]
    assert torch.equal(seeds[0], seeds[1])
    assert not torch.equal(seeds[1], seeds[2])


def test_epochs_and_milestones_are_those_of_2012() -> None:
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
