"""The update of all of AlexNet's weights against `torch.optim.SGD`, which does the same while the rate stays as it is."""

from collections.abc import Callable

import torch
from interleaved import Body, Race, Work, copies
from table import Row
from torch import Tensor

from alexnet.config import AlexNetConfig
from alexnet.model import AlexNet
from alexnet.optim import PaperSGD

STEPS = 20  # in a call, so that launches overlap with what they launch as they do in a training
COURSE = {"lr": 1e-4, "momentum": 0.9, "weight_decay": 5e-4}


def stepping(make: Callable[..., torch.optim.Optimizer], like: list[Tensor], **options: bool) -> tuple[list[Tensor], Body]:
    """Weights like those given, with gradients, and steps of an optimiser of theirs."""
    stream = torch.Generator(like[0].device).manual_seed(0)
    weights = [tensor.detach().clone().requires_grad_() for tensor in like]
    for weight in weights:
        weight.grad = torch.empty_like(weight).normal_(generator=stream)
    optimizer = make(weights, **COURSE, **options)
    return weights, lambda: [optimizer.step() for _ in range(STEPS)]


def test_update(race: Race) -> None:
    what, ours = "updating AlexNet's weights", "`PaperSGD`, in Triton"
    each = Row(what, "GPU", ours, "`torch.optim.SGD(foreach=True)`", 2)
    fused = Row(what, "GPU", ours, "`torch.optim.SGD(fused=True)`", 1.3)
    device = race.prepare(each, fused)
    like = list(AlexNet(AlexNetConfig.paper()).to(device, memory_format=torch.channels_last).parameters())
    (mine, body), *others = (
        stepping(make, like, **options)
        for make, options in ((PaperSGD, {}), (torch.optim.SGD, {"foreach": True}), (torch.optim.SGD, {"fused": True}))
    )
    for weights, steps in ((mine, body), *others):
        steps()
        torch.testing.assert_close(weights, mine, rtol=1e-4, atol=1e-6)
    count = sum(weight.numel() for weight in like)
    moved = copies(STEPS * 5 * 4 * count, device, at_once=1 << 28)  # weight and velocity read and written, gradient read
    race(body, {row: steps for row, (_, steps) in zip((each, fused), others, strict=True)},
         Work("a copy of what is read and written", (moved,)))  # fmt: skip
