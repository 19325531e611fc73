"""AlexNet and its counts against a slow network written from Figure 2, without torch.nn."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
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


def correlate(
    maps: Tensor, weight: Tensor, bias: Tensor, stride: int, before: int, side: int
) -> Tensor:
    """`side` positions each way, the first `before` pixels outside; outside values are zero."""
    kernel, size = weight.shape[-1], maps.shape[-1]
    reach = (side - 1) * stride + kernel
    field = torch.zeros(*maps.shape[:2], reach, reach, dtype=maps.dtype)
    inside = min(size, reach - before)
    field[..., before : before + inside, before : before + inside] = maps[..., :inside, :inside]
    out = bias[None, :, None, None].expand(len(maps), -1, side, side)
    for i in range(kernel):
        for j in range(kernel):
            seen = field[
                ...,
                i : i + (side - 1) * stride + 1 : stride,
                j : j + (side - 1) * stride + 1 : stride,
            ]
            out = out + torch.einsum("ncyx,oc->noyx", seen, weight[..., i, j])
    return out


def pool(maps: Tensor, size: int, side: int) -> Tensor:
    """Maxima of `side` windows each way at stride 2, clipped where the maps end."""
    rows = []
    for i in range(side):
        windows = [maps[..., 2 * i : 2 * i + size, 2 * j : 2 * j + size] for j in range(side)]
        rows.append(torch.stack([window.amax((-2, -1)) for window in windows], -1))
    return torch.stack(rows, -2)


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
    act: Callable[[Tensor], Tensor] = lambda x: x.clamp(min=0),
) -> Tensor:
    """Class scores.

    `sides` of every convolution's and pooling's maps are given from outside, not worked out.
    """
    alpha = {"paper": 1e-4, "original": 1e-4 / 5}[profile]
    pooled = pooled or {"conv1": "pool1", "conv2": "pool2", "conv5": "pool5"}
    columns: Columns = [images, images]
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
            columns = [reduce(across_maps(act(maps), alpha)) for maps in columns]
        elif name == "conv2" and profile == "original":
            columns = [reduce(within_maps(across_maps(act(maps), alpha))) for maps in columns]
        elif name == "conv2":
            columns = [reduce(across_maps(act(maps), alpha)) for maps in columns]
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


def test_without_dropout_nothing_is_dropped_or_halved() -> None:
    net = built(replace(PROFILES["original"], dropout=False)).train()
    images = pictures(net.config).requires_grad_()
    ones = [torch.ones(1, dtype=torch.float64)] * 2
    assert_same(net, images, figure_2(net, images, "original", sides=SIDES, masks=ones))


VARIANTS: dict[str, tuple[str, AlexNetConfig, dict[str, Any]]] = {
    f"{profile}, tanh": (profile, replace(config, activation="tanh"), {"act": torch.tanh})
    for profile, config in PROFILES.items()
}
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
    net = built(config).eval()
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


def test_norms_may_span_the_layer() -> None:
    """`lrn_scope="layer"` differs from columns only in the two maps beside the boundary."""
    column, layer = (
        built(replace(PROFILES["paper"], lrn_scope=span)) for span in ("column", "layer")
    )
    maps = pictures(column.config)
    x = torch.relu(column.layers["conv1"](maps))
    spec = column.specs["conv1"]
    differing = (column._normalise(spec, x) - layer._normalise(spec, x)).abs().amax(
        (0, 2, 3)
    ) > 1e-9
    # of six maps, three in each column
    assert differing.nonzero().flatten().tolist() == [1, 2, 3, 4]
    torch.testing.assert_close(layer._normalise(spec, x), across_maps(x, 1e-4), rtol=1e-12, atol=0)


TEXT, NET_145 = AlexNetConfig.paper(), AlexNetConfig.original()
WHOLE = (60_965_224, 659_272, 724_406_816)  # parameters, units, multiply-accumulates
FULL: dict[str, tuple[AlexNetConfig, int, int | None, int | None]] = {
    "paper": (TEXT, *WHOLE),
    "original": (NET_145, *WHOLE),
    "one column": (NET_145.one_column(), 59_798_312, 355_864, 391_514_384),
    "six convolutions": (NET_145.six_convolutions(), 61_555_304, 659_272 + 256 * 36, None),
    "no norm": (NET_145.without_lrn(), *WHOLE),
    "pooling 2": (replace(NET_145, pool_size=2), *WHOLE),
    "227 pixels": (replace(TEXT, image_size=227), *WHOLE),
    "without conv3": (
        replace(TEXT, removed_layers=("conv3",)),
        60_965_224 - 885_120 + 384 * 9 * (256 - 192),
        None,
        None,
    ),
    "without conv4": (
        replace(TEXT, removed_layers=("conv4",)),
        60_965_224 - 663_936,
        659_272 - 64_896,
        None,
    ),
    "without conv5": (
        replace(TEXT, removed_layers=("conv5",)),
        60_965_224 - 442_624 + 4096 * 36 * 128,
        None,
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
    assert units in (None, sum(layer.units for layer in layers))
    assert multiply_accumulates in (None, sum(layer.multiply_accumulates for layer in layers))
    with torch.device("meta"):
        net = AlexNet(config)
    for layer in layers:
        assert sum(p.numel() for p in net.layers[layer.name].parameters()) == layer.parameters
    assert sum(p.numel() for p in net.parameters()) == parameters


@pytest.mark.parametrize("variant", FULL)
def test_images_flow_through_the_counted_sizes(variant: str) -> None:
    # which keeps all sizes, and for which the meta device has no autocast
    config = FULL[variant][0].without_lrn()
    with torch.device("meta"):
        net = AlexNet(config).eval()
        images = torch.empty(2, 3, config.image_size, config.image_size)
    seen = {}
    for name, layer in net.layers.items():
        layer.register_forward_hook(
            lambda _, inputs, output, name=name: seen.update({name: (inputs[0], output)})
        )
    assert net(images).shape == (2, 1000)
    for layer in config.layers():
        inputs, output = seen[layer.name]
        assert output.numel() == 2 * layer.units
        if layer.name != "conv1":
            side = layer.kernel if layer.name.startswith("fc") else layer.side
            assert inputs.numel() == 2 * layer.inputs * layer.columns * side**2
    convolutions = [layer for layer in config.layers() if layer.name.startswith("conv")]
    assert [layer.side for layer in convolutions][:2] == [55, 27]
    assert {layer.side for layer in convolutions[2:5]} == {13}
    assert next(layer.kernel for layer in config.layers() if layer.name == "fc6") == 6


@pytest.mark.parametrize(("size", "kernel", "stride", "border"), [(224, 11, 4, 3), (28, 5, 2, 1)])
def test_what_conv1_reads_beyond_the_edge_is_zero_to_the_right_and_below(
    size: int, kernel: int, stride: int, border: int
) -> None:
    config = replace(
        PROFILES["original"],
        image_size=size,
        conv_kernels=(kernel, 5, 3, 3, 3),
        conv1_stride=stride,
    )
    whole = replace(config, image_size=size + border)
    assert (config.input_padding, whole.input_padding) == (border, 0)
    net, explicit = built(config).eval(), built(whole).eval()
    images = pictures(config, 1)
    padded = torch.zeros(1, 3, size + border, size + border, dtype=torch.float64)
    padded[..., :size, :size] = images
    assert torch.equal(net(images), explicit(padded))


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


def test_profiles_start_equal_but_for_the_spread_of_the_deep_convolutions() -> None:
    first, second = weights(PROFILES["paper"]), weights(PROFILES["original"])
    for name, weight in first.items():
        wider = 3.0 if name in ("conv3.weight", "conv4.weight", "conv5.weight") else 1.0
        # both drawn in fp32
        torch.testing.assert_close(second[name], wider * weight, rtol=1e-6, atol=0)


def test_no_two_layers_and_no_two_seeds_share_their_draws() -> None:
    config = PROFILES["original"].six_convolutions()
    firsts = [
        weights(config, seed)[f"{layer.name}.weight"].flatten()[:16] / layer.std
        for seed in (0, 1, 2)
        for layer in config.layers()
    ]
    likeness = torch.corrcoef(torch.stack(firsts)) - torch.eye(len(firsts), dtype=torch.float64)
    assert likeness.abs().max() < 0.99


def test_the_configuration_is_what_is_printed() -> None:
    """What the ledger lists as definitions: Figure 2's input, and §3.5."""
    config = AlexNetConfig.paper()
    layers = config.layers()
    assert 3 * config.image_size**2 == 150_528
    names = [f"conv{k}" for k in range(1, 6)] + ["fc6", "fc7", "fc8"]
    assert [layer.name for layer in layers] == names
    assert [layer.outputs for layer in layers] == [96, 256, 384, 384, 256, 4096, 4096, 1000]
    assert [layer.inputs * layer.kernel**2 for layer in layers[:5]] == [
        *(11 * 11 * 3, 5 * 5 * 48, 3 * 3 * 256, 3 * 3 * 192, 3 * 3 * 192)
    ]
    assert [layer.name for layer in layers if layer.columns == 2] == ["conv2", "conv4", "conv5"]
    assert [layer.name for layer in layers if layer.lrn] == ["conv1", "conv2"]
    assert [layer.name for layer in layers if layer.pool] == ["conv1", "conv2", "conv5"]
