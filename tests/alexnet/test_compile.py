"""Training through `torch.compile`: what it is compared with; and, marked, what it gives.

`pytest -m compiled` takes minutes.
"""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from networks import CIFAR, NETWORKS, Network, Splits, bits
from torch import Tensor, nn

from alexnet import compile as compiling
from alexnet.compile import compile_net
from alexnet.models import CifarNet


class Stop(Exception):  # noqa: N818
    pass


@pytest.mark.compiled
@pytest.mark.filterwarnings("ignore")  # the compiler's own
@pytest.mark.parametrize("network", NETWORKS.values(), ids=str)
def test_a_compiled_training_learns_the_same_and_goes_on_to_the_same_bits(
    network: Network, splits: Splits, tmp_path: Path
) -> None:
    def stop(row: Any) -> None:
        if row.step > 3:
            raise Stop

    plain, whole = network.train(splits), network.train(splits, compiled=True)
    with pytest.raises(Stop):
        network.train(splits, compiled=True, checkpoint=tmp_path / "c.pt", on_row=stop)
    resumed = network.train(splits, compiled=True, checkpoint=tmp_path / "c.pt")
    assert resumed.attempts == 2
    assert bits(resumed) == bits(whole)
    for ours, theirs in zip(whole.net.parameters(), plain.net.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4 * theirs.abs().max().item())
    assert whole.net.state_dict().keys() == plain.net.state_dict().keys()


class Otherwise(nn.Module):
    """What a faulty compiler would make of a network: the same scores, other gradients."""

    def __init__(self, net: nn.Module, share: float) -> None:
        super().__init__()
        self.net, self.share, self.calls = net, share, 0

    def forward(self, images: Tensor) -> Tensor:
        self.calls += 1
        scores: Tensor = self.net(images)
        return scores + self.share * (scores - scores.detach())


@pytest.fixture
def probe() -> tuple[CifarNet, Tensor, Tensor]:
    images = torch.randn(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    return CifarNet(CIFAR.config, seed=0), images, torch.arange(6)


@pytest.mark.parametrize(("share", "allowed"), [(1e-4, True), (0.01, False), (float("nan"), False)])
def test_other_gradients_are_refused(
    share: float, allowed: bool, probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling.torch, "compile", lambda net, **_: Otherwise(net, share))
    before = copy.deepcopy(probe[0].state_dict())
    if allowed:
        assert isinstance(compile_net(*probe, precision="fp32"), Otherwise)
    else:
        with pytest.raises(
            ValueError, match=r"changes this network's gradients \(by (1|nan) %, 0\.1 %"
        ):
            compile_net(*probe, precision="fp32")
    assert all(torch.equal(weight, before[name]) for name, weight in probe[0].state_dict().items())
    assert all(weight.grad is None for weight in probe[0].parameters())


def test_a_step_calls_what_is_compiled_and_the_rest_the_network(
    splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the same weights, whose names stay."""
    made: list[Otherwise] = []

    def compile_(net: nn.Module, **_: Any) -> nn.Module:
        made.append(Otherwise(net, 0.0))
        return made[-1]

    monkeypatch.setattr(compiling.torch, "compile", compile_)
    for network in NETWORKS.values():
        run, plain = network.train(splits, compiled=True), network.train(splits)
        assert made[-1].calls > 7
        assert bits(run) == bits(plain)
        assert run.net.state_dict().keys() == plain.net.state_dict().keys()
    assert len(made) == 3


def test_the_check_leaves_running_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling.torch, "compile", lambda net, **_: net)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.LazyLinear(10))
    images = torch.randn(4, 3, 8, 8)
    net(images)
    before = copy.deepcopy(net.state_dict())
    compile_net(net, images, torch.arange(4), "fp32")
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
