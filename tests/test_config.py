"""Golden counts of the network of Figure 2, and its arithmetic against torch's own layers."""

import torch
from torch import nn

from alexnet.config import AlexNetConfig, Layer


def test_golden_counts() -> None:
    layers = AlexNetConfig().layers()
    assert [layer.parameters for layer in layers] == [
        34_944,
        307_456,
        885_120,
        663_936,
        442_624,
        37_752_832,
        16_781_312,
        4_097_000,
    ]
    assert sum(layer.parameters for layer in layers) == 60_965_224
    assert [layer.units for layer in layers] == [
        290_400,
        186_624,
        64_896,
        64_896,
        43_264,
        4096,
        4096,
        1000,
    ]
    assert sum(layer.units for layer in layers) == 659_272
    assert sum(layer.multiply_accumulates for layer in layers) == 724_406_816
    assert [layer.side for layer in layers] == [55, 27, 13, 13, 13, 1, 1, 1]


def test_arithmetic_is_torchs() -> None:
    """Every layer built with torch has the counted parameters and output sizes."""
    stages: list[nn.Module] = [
        nn.Sequential(nn.ZeroPad2d((0, 3, 0, 3)), nn.Conv2d(3, 96, 11, 4)),
        nn.Sequential(nn.MaxPool2d(3, 2), nn.Conv2d(96, 256, 5, padding=2, groups=2)),
        nn.Sequential(nn.MaxPool2d(3, 2), nn.Conv2d(256, 384, 3, padding=1)),
        nn.Conv2d(384, 384, 3, padding=1, groups=2),
        nn.Conv2d(384, 256, 3, padding=1, groups=2),
        nn.Sequential(nn.MaxPool2d(3, 2), nn.Flatten(), nn.Linear(9216, 4096)),
        nn.Linear(4096, 4096),
        nn.Linear(4096, 1000),
    ]
    x = torch.empty(1, 3, 224, 224, device="meta")
    for stage, layer in zip(stages, AlexNetConfig().layers(), strict=True):
        x = stage.to("meta")(x)
        assert x.numel() == layer.units
        assert sum(p.numel() for p in stage.parameters()) == layer.parameters


def test_a_layer_by_hand() -> None:
    layer = Layer("conv", inputs=48, outputs=256, kernel=5, side=27, std=0.01, bias=1.0)
    assert (layer.parameters, layer.units, layer.multiply_accumulates) == (
        256 * 1201,
        256 * 729,
        256 * 729 * 1200,
    )
