"""The printed update rule against its formula, and against torch's SGD."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet.optim import PaperSGD

pytestmark = pytest.mark.numerical

rates = st.floats(1e-4, 0.5)
gradients = st.lists(st.floats(-3, 3), min_size=1, max_size=8)


def train(
    optimizer: torch.optim.Optimizer,
    weight: torch.Tensor,
    grads: list[float],
    drop_at: int | None = None,
) -> float:
    for step, gradient in enumerate(grads):
        if step == drop_at:
            for group in optimizer.param_groups:
                group["lr"] /= 10
        weight.grad = torch.tensor([gradient], dtype=torch.float64)
        optimizer.step()
    return weight.item()


@settings(deadline=None)  # the first optimiser of a process imports much of torch
@given(rates, st.floats(0, 0.99), st.floats(0, 0.1), gradients)
def test_is_the_formula_of_section_5(
    rate: float, momentum: float, decay: float, grads: list[float]
) -> None:
    weight = torch.tensor([0.7], dtype=torch.float64)
    ours = train(PaperSGD([weight], lr=rate, momentum=momentum, weight_decay=decay), weight, grads)
    w, v = 0.7, 0.0
    for g in grads:
        v = momentum * v - decay * rate * w - rate * g
        w = w + v
    assert ours == pytest.approx(w, rel=1e-12, abs=1e-12)


def test_differs_from_torchs_sgd_after_a_drop() -> None:
    """Two gradients of 1, then a drop and gradient 0: the paper's velocity only fades.

    Torch's is also divided by ten.
    """
    ours, torchs = (torch.tensor([0.0], dtype=torch.float64) for _ in range(2))
    a = train(PaperSGD([ours], lr=0.1, momentum=0.9), ours, [1, 1, 0], drop_at=2)
    b = train(torch.optim.SGD([torchs], lr=0.1, momentum=0.9), torchs, [1, 1, 0], drop_at=2)
    before = -0.1 - 0.19
    assert a == pytest.approx(before - 0.9 * 0.19)
    assert b == pytest.approx(before - 0.09 * 0.19)


def test_many_weights_are_updated_as_each_alone() -> None:
    """To the bit, also with shared rates, other sizes and memory orders, or no gradient."""
    stream = torch.Generator().manual_seed(0)
    shapes = [(3,), (4, 3, 5, 5), (), (7, 2)]
    weights = [torch.randn(shape, generator=stream) for shape in shapes]
    weights[1] = weights[1].contiguous(memory_format=torch.channels_last)
    alone = [weight.clone() for weight in weights]
    courses = [
        {"lr": 0.1, "weight_decay": 0.01},
        {"lr": 0.2},
        {"lr": 0.1, "weight_decay": 0.01},
        {"lr": 0.1},
    ]
    together = PaperSGD(
        [{"params": [weight], **course} for weight, course in zip(weights, courses, strict=True)],
        lr=1.0,
    )
    each = [PaperSGD([weight], **course) for weight, course in zip(alone, courses, strict=True)]
    for step in range(3):
        for weight, other in zip(weights, alone, strict=True):
            weight.grad = torch.randn(weight.shape, generator=stream)
            other.grad = weight.grad.clone()
        if step == 1:
            weights[3].grad = alone[3].grad = None
        together.step()
        for optimizer in each:
            optimizer.step()
    assert all(map(torch.equal, weights, alone))
