"""AlexNet and its counts against a slow network written from Figure 2, without torch.nn."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from references import correlate, pool
from torch import Tensor

from alexnet.config import AlexNetConfig
from alexnet.models import AlexNet

pytestmark = pytest.mark.numerical

Columns = list[Tensor]  # the maps of each column, [N, maps, side, side]
PROFILES = {"paper": AlexNetConfig.paper().smoke(), "original": AlexNetConfig.original().smoke()}


def built(config: AlexNetConfig, seed: int = 0) -> AlexNet:
    return AlexNet(config, seed).double()


def pictures(config: AlexNetConfig, count: int = 3) -> Tensor:
    """Noise of the size of grey levels."""
    generator = torch.Generator().manual_seed(1)
    return 74 * torch.randn(
        count, 3, config.image_size, config.image_size, generator=generator, dtype=torch.float64
    )


def across_maps(maps: Tensor, alpha: float) -> Tensor:
    """§3.3 with n = 5, k = 2, β = 0.75."""
    count = maps.shape[1]
    sums = [
        sum(maps[:, j] ** 2 for j in range(max(0, i - 2), min(count - 1, i + 2) + 1))
        for i in range(count)
    ]
    return maps / (2 + alpha * torch.stack(sums, 1)) ** 0.75


def within_maps(maps: Tensor) -> Tensor:
    """`cnorm2` of layers-145.cfg: 5 × 5 pixels of the same map, scale 0.001 over 25 of them."""
    side = maps.shape[-1]
    rows = []
    for y in range(side):
        squares = [
            maps[..., max(0, y - 2) : y + 3, max(0, x - 2) : x + 3] ** 2 for x in range(side)
        ]
        rows.append(torch.stack([square.sum((-2, -1)) for square in squares], -1))
    return maps / (1 + 0.001 / 25 * torch.stack(rows, -2)) ** 0.75


def halves(tensor: Tensor) -> list[Tensor]:
    return [tensor[: len(tensor) // 2], tensor[len(tensor) // 2 :]]


def figure_2(
    net: AlexNet,
    images: Tensor,
    profile: str,
    *,
    sides: dict[str, int],
    meeting: tuple[str, ...] = ("conv3",),
    pooled: dict[str, str] | None = None,
    window: int = 3,
    masks: list[Tensor] | None = None,
    whole: bool = False,
    act: Callable[[Tensor], Tensor] = lambda x: x.clamp(min=0),
) -> Tensor:
    """Class scores.

    `sides` of every convolution's and pooling's maps are given from outside, not worked out.
    """
    alpha = {"paper": 1e-4, "original": 1e-4 / 5}[profile]
    pooled = pooled or {"conv1": "pool1", "conv2": "pool2", "conv5": "pool5"}
    columns: Columns = [images, images]

    def norms(columns: Columns) -> Columns:
        """Of each column, or of the `whole` layer."""
        if whole:
            return list(across_maps(act(torch.cat(columns, 1)), alpha).chunk(2, 1))
        return [across_maps(act(maps), alpha) for maps in columns]

    for name in [key for key in sides if key.startswith("conv")]:
        weights, biases = halves(net.layers[name].weight), halves(net.layers[name].bias)
        if name in meeting:
            both = torch.cat(columns, 1)
            columns = [both, both]
        stride, before = (2, 0) if name == "conv1" else (1, weights[0].shape[-1] // 2)
        columns = [
            correlate(maps, weight, bias, stride, before, sides[name])
            for maps, weight, bias in zip(columns, weights, biases, strict=True)
        ]
        reduce = (
            (lambda maps, at=pooled[name]: pool(maps, window, sides[at]))
            if name in pooled
            else lambda maps: maps
        )
        if name == "conv1" and profile == "original":
            columns = [act(reduce(across_maps(maps, alpha))) for maps in columns]
        elif name == "conv1":
            columns = [reduce(maps) for maps in norms(columns)]
        elif name == "conv2" and profile == "original":
            columns = [reduce(within_maps(across_maps(act(maps), alpha))) for maps in columns]
        elif name == "conv2":
            columns = [reduce(maps) for maps in norms(columns)]
        else:
            # a maximum of rectified values is a rectified maximum
            columns = [act(reduce(maps)) for maps in columns]
    hidden = torch.cat([maps.reshape(len(maps), -1) for maps in columns], 1)
    for number, name in enumerate(("fc6", "fc7")):
        weights, biases = halves(net.layers[name].weight), halves(net.layers[name].bias)
        parts = [hidden @ weight.T + bias for weight, bias in zip(weights, biases, strict=True)]
        hidden = act(torch.cat(parts, 1)) * (0.5 if masks is None else masks[number])
    return hidden @ net.layers["fc8"].weight.T + net.layers["fc8"].bias


SIDES = {"conv1": 13, "pool1": 6, "conv2": 6, "pool2": 3,
         "conv3": 3, "conv4": 3, "conv5": 3, "pool5": 1}  # fmt: skip


def assert_same(net: AlexNet, images: Tensor, theirs: Tensor) -> None:
    """Equal scores, and equal gradients of the loss for the images and every weight and bias."""
    ours, labels = net(images), torch.arange(len(images))
    torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-11)
    wanted = [images, *net.parameters()]
    for a, b in zip(
        *(
            torch.autograd.grad(F.cross_entropy(scores, labels), wanted)
            for scores in (ours, theirs)
        ),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11 * b.abs().max().item() + 1e-300)


@pytest.mark.parametrize("profile", PROFILES)
def test_values_and_gradients_are_figure_2s(profile: str) -> None:
    net = built(PROFILES[profile]).eval()
    images = pictures(net.config).requires_grad_()
    assert_same(net, images, figure_2(net, images, profile, sides=SIDES))


@pytest.mark.parametrize("profile", PROFILES)
def test_training_drops_units_of_both_hidden_layers(profile: str) -> None:
    net = built(PROFILES[profile]).train()
    generator = torch.Generator().manual_seed(12)
    masks = [
        (torch.rand(3, width, generator=generator) < 0.5).double() for width in net.config.fc_widths
    ]
    images = pictures(net.config).requires_grad_()
    torch.manual_seed(12)  # of whom masks come where no generator is given
    assert_same(net, images, figure_2(net, images, profile, sides=SIDES, masks=masks))
    scores = net(images, torch.Generator().manual_seed(12))
    assert torch.equal(net(images, torch.Generator().manual_seed(12)), scores)
    assert not torch.equal(net(images), scores)


VARIANTS: dict[str, tuple[str, AlexNetConfig, dict[str, Any]]] = {
    f"{profile}, tanh": (profile, replace(config, activation="tanh"), {"act": torch.tanh})
    for profile, config in PROFILES.items()
}
ONES = [torch.ones(1, dtype=torch.float64)] * 2
VARIANTS |= {
    "norms over the layer": ("paper", replace(PROFILES["paper"], lrn_scope="layer"),
        {"whole": True}),
    "no dropout": ("original", replace(PROFILES["original"], dropout=False), {"masks": ONES}),
}  # fmt: skip
VARIANTS |= {
    name: ("original", config, wanted)
    for name, config, wanted in (
        ("windows of two", replace(PROFILES["original"], pool_size=2), {"window": 2}),
        ("six", PROFILES["original"].six_convolutions(), {"meeting": ("conv3", "conv6")}),
        # the next layer joins the columns
        ("no conv3", replace(PROFILES["original"], removed_layers=("conv3",)),
         {"meeting": ("conv4",)}),
        ("no conv4", replace(PROFILES["original"], removed_layers=("conv4",)), {}),
        # pooling stays where its layer goes
        ("no conv5", replace(PROFILES["original"], removed_layers=("conv5",)),
         {"pooled": {"conv1": "pool1", "conv2": "pool2", "conv4": "pool5"}}),
    )
}  # fmt: skip


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_are_figure_2s(variant: str) -> None:
    profile, config, wanted = VARIANTS[variant]
    net = built(config).train(not config.dropout)
    images = pictures(config).requires_grad_()
    sides = {key: side for key, side in SIDES.items() if key not in config.removed_layers}
    sides |= {"conv6": 1} if "conv6" in net.layers else {}
    assert sides.keys() >= {name for name in net.layers if name.startswith("conv")}
    assert_same(net, images, figure_2(net, images, profile, sides=sides, **wanted))


def test_one_column_is_a_column_that_meets_no_other() -> None:
    """The one-GPU net reads all its maps: as if columns met at every layer but the norms."""
    config = replace(PROFILES["paper"].one_column(), lrn_layers=())
    net = built(config).eval()
    images = pictures(config)
    x = images
    for name in ("conv1", "conv2", "conv3", "conv4", "conv5"):
        layer = net.layers[name]
        stride, before = (2, 0) if name == "conv1" else (1, layer.weight.shape[-1] // 2)
        x = correlate(x, layer.weight, layer.bias, stride, before, SIDES[name]).clamp(min=0)
        if name in config.pool_layers:
            x = pool(x, 3, SIDES["pool" + name[-1]])
    torch.testing.assert_close(net.conv_features(images), x, rtol=1e-11, atol=1e-11)


NET_145 = AlexNetConfig.original()
WHOLE = (60_965_224, 659_272, 724_406_816)  # parameters, units, multiply-accumulates
FULL: dict[str, tuple[AlexNetConfig, int, int, int | None]] = {
    "paper": (AlexNetConfig.paper(), *WHOLE),
    "227 pixels": (replace(NET_145, image_size=227), *WHOLE),
    "one column": (NET_145.one_column(), 59_798_312, 355_864, 391_514_384),
    "six convolutions": (NET_145.six_convolutions(), 61_555_304, 659_272 + 256 * 36, None),
    "no norm, pooling 2": (replace(NET_145.without_lrn(), pool_size=2), *WHOLE),
    "without conv4": (
        replace(NET_145, removed_layers=("conv4",)),
        60_965_224 - 663_936,
        659_272 - 64_896,
        None,
    ),
}


def test_golden_counts_of_every_layer() -> None:
    layers = AlexNetConfig().layers()
    parameters = (34_944, 307_456, 885_120, 663_936, 442_624, 37_752_832, 16_781_312, 4_097_000)
    assert tuple(layer.parameters for layer in layers) == parameters
    units = (290_400, 186_624, 64_896, 64_896, 43_264, 4096, 4096, 1000)
    assert tuple(layer.units for layer in layers) == units
    millions = [round(layer.multiply_accumulates / 1e6, 1) for layer in layers]
    assert millions == [105.4, 223.9, 149.5, 112.1, 74.8, 37.7, 16.8, 4.1]


@pytest.mark.parametrize("variant", FULL)
def test_golden_counts(variant: str) -> None:
    """By the arithmetic of the config, and of the module that is built from it."""
    config, parameters, units, multiply_accumulates = FULL[variant]
    layers = config.layers()
    assert sum(layer.parameters for layer in layers) == parameters
    assert sum(layer.units for layer in layers) == units
    assert multiply_accumulates in (None, sum(layer.multiply_accumulates for layer in layers))
    with torch.device("meta"):
        net = AlexNet(config)
    for layer in layers:
        assert sum(p.numel() for p in net.layers[layer.name].parameters()) == layer.parameters
    assert sum(p.numel() for p in net.parameters()) == parameters


def test_first_weights_are_the_configs() -> None:
    net = AlexNet(replace(AlexNetConfig.original(), fc_widths=(256, 256), image_size=64), seed=0)
    stds = {f"conv{k}": 0.01 if k < 3 else 0.03 for k in range(1, 6)}
    stds |= {"fc6": 0.01, "fc7": 0.01, "fc8": 0.01}
    ones = {"conv2", "conv4", "conv5", "fc6", "fc7"}
    for name, std in stds.items():
        weight, bias = net.layers[name].weight, net.layers[name].bias
        assert weight.std().item() == pytest.approx(std, rel=4 / (2 * weight.numel()) ** 0.5)
        assert weight.mean().item() == pytest.approx(0, abs=4 * std / weight.numel() ** 0.5)
        assert torch.equal(bias, torch.full_like(bias, float(name in ones)))
    literal = {layer.name: layer.std for layer in AlexNetConfig.paper().six_convolutions().layers()}
    assert set(literal.values()) == {0.01}
    assert {
        layer.name for layer in AlexNetConfig.paper().six_convolutions().layers() if layer.bias == 1
    } == {*ones, "conv6"}


def weights(config: AlexNetConfig, seed: int = 0) -> dict[str, Tensor]:
    return {
        name.removeprefix("layers."): value.detach()
        for name, value in built(config, seed).named_parameters()
    }


@pytest.mark.parametrize(
    ("variant", "new"),
    [
        (replace(PROFILES["original"], activation="tanh"), ()),
        (replace(PROFILES["original"], pool_size=2), ()),
        (replace(PROFILES["original"], dropout=False), ()),
        (PROFILES["original"].without_lrn(), ()),
        (replace(PROFILES["original"], removed_layers=("conv4",)), ()),
        (replace(PROFILES["original"], removed_layers=("conv3",)), ("conv4",)),  # reads other maps
        (PROFILES["original"].six_convolutions(), ("conv6",)),
        (replace(PROFILES["original"], classes=7), ("fc8",)),
    ],
)
def test_variants_start_equal_in_the_layers_they_share(
    variant: AlexNetConfig, new: tuple[str, ...]
) -> None:
    first, second = weights(PROFILES["original"]), weights(variant)
    for name in second:
        if name.split(".")[0] not in new:
            assert torch.equal(first[name], second[name]), name
