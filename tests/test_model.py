"""The CIFAR net against its formula, written out without torch.nn."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.config import CifarNetConfig
from alexnet.models import CifarNet

pytestmark = pytest.mark.numerical


def pool(x: Tensor, kind: str) -> Tensor:
    """3×3 windows at stride 2, clipped at the right and bottom border, one by one."""
    size = -(-x.shape[-1] // 2)
    rows = []
    for i in range(size):
        windows = [x[..., 2 * i : 2 * i + 3, 2 * j : 2 * j + 3] for j in range(size)]
        rows.append(
            torch.stack(
                [w.amax((-2, -1)) if kind == "max" else w.mean((-2, -1)) for w in windows], -1
            )
        )
    return torch.stack(rows, -2)


def convolve(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Correlation with zeros outside, summed over the 25 positions of the kernel."""
    side = x.shape[-1]
    padded = torch.zeros(*x.shape[:2], side + 4, side + 4, dtype=x.dtype)
    padded[..., 2:-2, 2:-2] = x
    out = bias[None, :, None, None].expand(x.shape[0], -1, side, side)
    for i in range(5):
        for j in range(5):
            out = out + torch.einsum(
                "ncyx,oc->noyx", padded[..., i : i + side, j : j + side], weight[..., i, j]
            )
    return out


def formula(net: CifarNet, images: Tensor, activation: str) -> Tensor:
    """The nonlinearity straight after every convolution, as §3.1 has it."""
    act = {"relu": lambda t: t.clamp(min=0), "tanh": torch.tanh}[activation]
    x = pool(act(convolve(images, net.conv1.weight, net.conv1.bias)), "max")
    x = pool(act(convolve(x, net.conv2.weight, net.conv2.bias)), "mean")
    x = pool(act(convolve(x, net.conv3.weight, net.conv3.bias)), "mean")
    return x.flatten(1) @ net.fc10.weight.T + net.fc10.bias


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_values_and_gradients_are_the_formulas(activation: str) -> None:
    config = CifarNetConfig(activation=activation, init="modern")
    net = CifarNet(config, seed=1).double()
    images, labels = torch.randn(3, 3, 32, 32, dtype=torch.float64), torch.tensor([0, 4, 9])
    ours, theirs = net(images), formula(net, images, activation)
    torch.testing.assert_close(ours, theirs)
    parameters = list(net.parameters())
    gradients = [
        torch.autograd.grad(F.cross_entropy(scores, labels), parameters)
        for scores in (ours, theirs)
    ]
    torch.testing.assert_close(*gradients)


def test_parameters_and_shape() -> None:
    net = CifarNet()
    assert [layer.parameters for layer in net.config.layers()] == [2_432, 25_632, 51_264, 10_250]
    assert sum(p.numel() for p in net.parameters()) == 89_578  # layers-19pct.cfg on 32×32 images
    assert net(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_2012_weights_have_their_spread_and_do_not_depend_on_the_nonlinearity() -> None:
    configs = [CifarNetConfig(activation=activation) for activation in ("relu", "tanh")]
    relu, tanh = (CifarNet(config, seed=0) for config in configs)
    for a, b in zip(relu.parameters(), tanh.parameters(), strict=True):
        assert torch.equal(a, b)
    for layer, std in (
        (relu.conv1, 1e-4),
        (relu.conv2, 0.01),
        (relu.conv3, 0.01),
        (relu.fc10, 0.01),
    ):
        assert layer.weight.std().item() == pytest.approx(std, rel=0.05)
        assert not layer.bias.any()


def test_modern_weights_are_he_and_glorot() -> None:
    net = CifarNet(CifarNetConfig(init="modern"), seed=0)
    assert net.conv2.weight.std().item() == pytest.approx((2 / (32 * 25)) ** 0.5, rel=0.02)
    assert net.fc10.weight.std().item() == pytest.approx((2 / (1024 + 10)) ** 0.5, rel=0.03)
    net = CifarNet(CifarNetConfig(activation="tanh", init="modern"), seed=0)
    assert net.conv3.weight.std().item() == pytest.approx(
        (2 / (32 * 25 + 64 * 25)) ** 0.5, rel=0.02
    )


def test_seeds_give_different_weights() -> None:
    first, second = CifarNet(seed=0), CifarNet(seed=1)
    assert not torch.equal(first.conv1.weight, second.conv1.weight)


def test_without_a_seed_torchs_generator_draws() -> None:
    torch.manual_seed(3)
    first, second = CifarNet(), CifarNet()
    torch.manual_seed(3)
    assert torch.equal(CifarNet().conv1.weight, first.conv1.weight)
    assert not torch.equal(second.conv1.weight, first.conv1.weight)
