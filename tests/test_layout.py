"""Columns as groups or as dense convolutions: the same values and gradients, and a choice that leaves no trace."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from alexnet import layout, train
from alexnet.config import AlexNetConfig, AlexNetRecipe
from alexnet.data.augment import Views
from alexnet.data.imageset import ImageSet
from alexnet.layout import GroupedConv, dense_names, faster_dense, set_dense
from alexnet.model import AlexNet, init_alexnet

CPU = torch.device("cpu")
CONFIG = AlexNetConfig.paper().smoke()


def both_ways(layer: nn.Module, x: Tensor, above: Tensor) -> list[Tensor]:
    x = x.clone().requires_grad_()
    y = layer(x)
    return [y.detach(), *torch.autograd.grad(y, [x, *layer.parameters()], above)]


@given(
    st.sampled_from([1, 2, 3]),
    st.integers(1, 4),
    st.integers(1, 4),
    st.sampled_from([1, 3, 5]),
    st.integers(1, 2),
    st.integers(0, 2),
)
@settings(max_examples=25, deadline=None)
def test_dense_convolutions_are_the_groups(groups: int, inputs: int, outputs: int, size: int, stride: int, padding: int) -> None:
    torch.manual_seed(groups * 100 + inputs * 10 + outputs)
    layer = GroupedConv(groups * inputs, groups * outputs, size, stride, padding, groups=groups).double()
    x = torch.randn(2, groups * inputs, 7, 6, dtype=torch.float64).contiguous(memory_format=torch.channels_last)
    plain = nn.functional.conv2d(x, layer.weight, layer.bias, stride, padding, groups=groups)
    above = torch.randn(plain.shape, dtype=torch.float64)
    by_groups = both_ways(layer, x, above)
    assert torch.equal(by_groups[0], plain)
    layer.dense = True
    for ours, theirs in zip(both_ways(layer, x, above), by_groups, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_a_network_computes_the_same_with_each_choice() -> None:
    torch.manual_seed(0)
    net = AlexNet(replace(CONFIG, dropout=False)).double()
    init_alexnet(net, 0)
    images = torch.randn(3, 3, CONFIG.image_size, CONFIG.image_size, dtype=torch.float64) * 50
    by_groups, before = net(images), set(net.state_dict())
    for names in (["layers.conv2"], ["layers.conv4", "layers.conv5"]):
        set_dense(net, names)
        assert dense_names(net) == names
        torch.testing.assert_close(net(images), by_groups, rtol=1e-10, atol=1e-12)
        assert set(net.state_dict()) == before


@pytest.fixture
def started(splits: dict[str, ImageSet]) -> tuple[train.AlexNetRun, Tensor]:
    recipe = AlexNetRecipe(batch_size=8)
    views = Views(splits["train"], splits["train"], CONFIG.image_size, recipe, CPU)
    return train.start_alexnet(CONFIG, recipe, views, 0, "fp32", None), next(views.epoch(0, 0, 8))[0]


def test_the_faster_way_is_found_and_nothing_changed(started, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dense convolutions of conv4 are made to take no time, and the groups of conv5."""
    run, images = started
    asked: list[Callable[[], None]] = []

    def capture(body: Callable[[], None], generator: None) -> Callable[[], None]:
        body()
        asked.append(body)
        return (lambda: None) if len(asked) in (4, 5) else body

    monkeypatch.setattr(layout, "capture", capture)
    before = {name: weight.clone() for name, weight in run.net.state_dict().items()}
    assert "layers.conv4" in (found := faster_dense(run.net, images, "fp32"))
    assert "layers.conv5" not in found
    assert len(asked) == 6
    assert dense_names(run.net) == []
    assert all(parameter.grad is None for parameter in run.net.parameters())
    assert all(torch.equal(weight, before[name]) for name, weight in run.net.state_dict().items())


def test_without_graphs_there_are_groups(started, monkeypatch: pytest.MonkeyPatch) -> None:
    def capture(body: Callable[[], None], generator: None) -> Callable[[], None]:
        raise RuntimeError("no CUDA driver")

    monkeypatch.setattr(layout, "capture", capture)
    run, images = started
    assert faster_dense(run.net, images, "fp32") == []
    assert not run.net.layers["conv2"]._forward_pre_hooks


def test_a_checkpoint_tells_the_choice(started, tmp_path: Path) -> None:
    run, _ = started
    set_dense(run.net, ["layers.conv4"])
    train.save(tmp_path / "c.pt", run)
    set_dense(run.net, ["layers.conv2"])
    assert train.load(tmp_path / "c.pt", run)
    assert dense_names(run.net) == ["layers.conv4"]
