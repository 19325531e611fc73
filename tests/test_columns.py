"""Two columns on two devices compute what one device computes, and exchange what the paper lets them."""

import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet import columns
from alexnet.columns import TwoColumns, exchanged
from alexnet.config import AlexNetConfig
from alexnet.model import AlexNet, init_alexnet
from alexnet.optim import PaperSGD, layer_groups

pytestmark = pytest.mark.numerical

PAIR = (torch.device("cpu"), torch.device("cpu"))
SMOKE = AlexNetConfig.original().smoke()
VARIANTS = {
    "original": SMOKE,
    "paper": AlexNetConfig.paper().smoke(),
    "six convolutions": SMOKE.six_convolutions(),
    "without conv3": replace(SMOKE, left_out=("conv3",)),
    "without conv5": replace(SMOKE, left_out=("conv5",)),
    "no norm": replace(SMOKE.without_norm(), norm_span="layer"),
    "no dropout": replace(SMOKE, dropout=False),
    "tanh, pooling 2": replace(SMOKE, activation="tanh", pool_size=2),
}


def one_device(config: AlexNetConfig) -> AlexNet:
    net = AlexNet(config)
    init_alexnet(net, 0)
    return net.double()


def pictures(count: int = 4) -> Tensor:
    return 74 * torch.randn(count, 3, 28, 28, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def gradients(net: AlexNet | TwoColumns) -> dict[str, Tensor]:
    """By the names of one AlexNet, both columns' put together."""
    if isinstance(net, AlexNet):
        return {name: parameter.grad for name, parameter in net.named_parameters()}
    first, second = (gradients(column) for column in net.columns)
    return {name: torch.cat([gradient, second[name]]) if name in second else gradient for name, gradient in first.items()}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("variant", VARIANTS)
def test_scores_and_gradients_are_those_of_one_device(variant: str, training: bool) -> None:
    one = one_device(VARIANTS[variant]).train(training)
    one.dropout_key = 41
    two = TwoColumns(one, PAIR).train(training)
    images, labels = pictures(), torch.arange(4)
    seen = [images.clone().requires_grad_() for _ in range(2)]
    scores = [net(x) for net, x in zip((one, two), seen, strict=True)]
    torch.testing.assert_close(*scores, rtol=1e-12, atol=1e-12)
    for score in scores:
        F.cross_entropy(score, labels).backward()
    torch.testing.assert_close(seen[0].grad, seen[1].grad, rtol=1e-9, atol=1e-12)
    whole, parts = gradients(one), gradients(two)
    assert whole.keys() == parts.keys()
    for name, gradient in whole.items():
        torch.testing.assert_close(parts[name], gradient, rtol=1e-12, atol=1e-12 * gradient.abs().max().item())


def test_masks_follow_the_key() -> None:
    one = one_device(SMOKE).train()
    two = TwoColumns(one, PAIR).train()
    results = []
    for key in (1, 2, 1):
        one.dropout_key = two.dropout_key = key
        results.append(two(pictures()))
        torch.testing.assert_close(results[-1], one(pictures()), rtol=1e-12, atol=1e-12)
    assert torch.equal(results[0], results[2])
    assert not torch.equal(results[0], results[1])


def test_hidden_units_are_those_of_one_device() -> None:
    one = one_device(SMOKE).eval()
    two = TwoColumns(one, PAIR).eval()
    torch.testing.assert_close(two.hidden(pictures()), one.hidden(pictures()), rtol=1e-12, atol=1e-12)


def test_updates_keep_the_networks_equal() -> None:
    """Three updates with every layer at a rate of its own; the parts keep their layers' names."""
    one = one_device(SMOKE).train()
    two = TwoColumns(one, PAIR).train()
    for net in (one, two):
        optimizer = PaperSGD(layer_groups(net, 0.9), lr=0.0)
        for group in optimizer.param_groups:
            layer, kind = group["named"]
            group["lr"], group["weight_decay"] = (
                1e-4 * (1 + list(SMOKE.layers()).index(net.specs[layer])),
                5e-4 * (kind == "weight"),
            )
        for step in range(3):
            net.dropout_key = step
            optimizer.zero_grad()
            F.cross_entropy(net(pictures()), torch.arange(4)).backward()
            optimizer.step()
    before = one_device(SMOKE).state_dict()
    for name, weight in one.state_dict().items():
        assert not torch.equal(weight, before[name])
        torch.testing.assert_close(two.whole_state()[name], weight, rtol=1e-11, atol=1e-13)


def test_weights_are_split_copied_and_put_together_again() -> None:
    one = one_device(SMOKE)
    before = copy.deepcopy(one.state_dict())
    two = TwoColumns(one, PAIR)
    assert sum(p.numel() for p in two.parameters()) == sum(p.numel() for p in one.parameters())
    assert list(two.whole_state()) == list(before)
    for name, weight in two.whole_state().items():
        assert torch.equal(weight, before[name])
    with torch.no_grad():
        for parameter in two.parameters():
            parameter.zero_()
    for name, weight in one.state_dict().items():
        assert torch.equal(weight, before[name])
    assert "fc8" in two.first.layers
    assert "fc8" not in two.second.layers


@pytest.mark.parametrize("variant", ["original", "paper", "six convolutions", "without conv3", "without conv5"])
def test_no_other_values_cross_than_are_counted(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    crossed: list[int] = []
    returned: list[int] = []

    def counted(x: Tensor, device: torch.device) -> Tensor:
        crossed.append(x[0].numel())
        if x.requires_grad:
            x.register_hook(lambda gradient: returned.append(gradient[0].numel()))
        return x.to(device)

    monkeypatch.setattr(columns, "send", counted)
    two = TwoColumns(one_device(VARIANTS[variant]), PAIR)
    two(pictures()).sum().backward()
    expected = exchanged(VARIANTS[variant])
    both_ways = [pair for name, values in expected.items() if name != "fc8" for pair in (values // 2, values // 2)]
    assert crossed == [*both_ways, expected["fc8"]]
    assert len(returned) == len(crossed)


def test_what_crosses_in_the_papers_network() -> None:
    assert exchanged(AlexNetConfig.original()) == {"conv3": 43_264, "fc6": 9_216, "fc7": 4_096, "fc8": 2_048}
    assert sum(exchanged(AlexNetConfig.paper()).values()) == 58_624
    assert exchanged(AlexNetConfig.original().six_convolutions())["conv6"] == 9_216
    assert "conv4" in exchanged(replace(AlexNetConfig.original(), left_out=("conv3",)))


def test_no_column_sees_the_other_but_where_they_meet() -> None:
    """Before conv3 the second column's weights change nothing in the first."""
    two = TwoColumns(one_device(SMOKE), PAIR).eval()
    seen: list[Tensor] = []
    two.first.layers["conv2"].register_forward_hook(lambda _, inputs, output: seen.append(output))
    two(pictures())
    with torch.no_grad():
        two.second.layers["conv1"].weight.mul_(2)
    two(pictures())
    assert torch.equal(*seen)


def test_networks_without_two_halves_are_refused() -> None:
    with pytest.raises(ValueError, match="no two equal halves"):
        TwoColumns(AlexNet(SMOKE.one_column()), PAIR)
    with pytest.raises(ValueError, match="no two equal halves"):
        TwoColumns(AlexNet(replace(SMOKE, hidden_widths=(255, 256))), PAIR)
    with pytest.raises(ValueError, match="an exchange of maps"):
        TwoColumns(AlexNet(replace(SMOKE, norm_span="layer")), PAIR)


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_two_gpus() -> None:
    devices = (torch.device("cuda:0"), torch.device("cuda:1"))
    one = one_device(SMOKE).to(devices[0]).train()
    one.dropout_key = 41
    two = TwoColumns(one, devices).train()
    assert {parameter.device for parameter in two.second.parameters()} == {devices[1]}
    images, labels = pictures().to(devices[0]), torch.arange(4, device=devices[0])
    for net in (one, two):
        F.cross_entropy(net(images), labels).backward()
    torch.testing.assert_close(one(images), two(images), rtol=1e-10, atol=1e-10)
    second = dict(two.second.named_parameters())
    for name, parameter in two.first.named_parameters():
        parts = [parameter.grad, *([second[name].grad.to(devices[0])] if name in second else [])]
        torch.testing.assert_close(torch.cat(parts), one.get_parameter(name).grad, rtol=1e-9, atol=1e-12)
