"""The printed update rule; rates and ends of trainings, as logged and by the text."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet.config import AlexNetRecipe
from alexnet.config.alexnet import plateaus
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


ALEXNET_2012, PAPER = AlexNetRecipe.original(), AlexNetRecipe.paper()


@pytest.mark.parametrize(
    ("first", "last", "rate"), [(0, 22, 1e-2), (23, 50, 1e-3), (51, 77, 1e-4), (78, 92, 1e-5)]
)
def test_the_logged_drops(first: int, last: int, rate: float) -> None:
    for epoch in (first, last):
        assert ALEXNET_2012.lr(epoch, []) == pytest.approx(rate, rel=1e-12)
        # errors do not matter to it
        assert ALEXNET_2012.lr(epoch, [50.0] * epoch) == pytest.approx(rate, rel=1e-12)


@pytest.mark.parametrize(
    ("epoch", "rate"),
    [(0, 1e-2), (23, 1e-3), (51, 1e-4), (67, 1e-4), (68, 1e-5), (71, 1e-5), (72, 0), (92, 0)],
)
def test_conv1_is_slowed_and_then_frozen(epoch: int, rate: float) -> None:
    assert ALEXNET_2012.layer_lr("conv1", "weight", epoch, [])[0] == pytest.approx(rate, rel=1e-12)
    for layer in ("conv2", "conv5", "fc6", "fc8"):
        assert ALEXNET_2012.layer_lr(layer, "weight", epoch, [])[0] == ALEXNET_2012.lr(epoch, [])


@pytest.mark.parametrize(
    ("epochs", "rates"),  # of conv1, of the rest and of fc8
    [
        ((0, 4), (1e-4, 1e-3, 1e-2)),
        ((5, 6), (1e-5, 1e-3, 1e-2)),
        ((7, 8), (0, 1e-3, 1e-2)),
        ((9, 21), (0, 1e-3, 1e-3)),
        ((22, 41), (0, 1e-4, 1e-4)),
        ((42, 53), (0, 1e-5, 1e-5)),
    ],
)
def test_finetuning_by_its_log(epochs: tuple[int, int], rates: tuple[float, ...]) -> None:
    recipe = AlexNetRecipe.finetuning()
    for epoch in epochs:
        found = [recipe.layer_lr(name, "weight", epoch, [])[0] for name in ("conv1", "fc6", "fc8")]
        assert found == pytest.approx(rates, rel=1e-12)
    assert recipe.color_noise_end == 38
    assert [recipe.is_over(epoch, [], []) for epoch in (53, 54)] == [False, True]


@pytest.mark.parametrize(
    ("errors", "patience", "drops"),
    [
        ([], 2, 0),
        ([9, 8, 7, 6], 2, 0),
        ([9, 9, 9], 2, 1),  # two: as low is not lower
        ([9, 10, 8, 9, 7, 8], 2, 0),  # a lower value in between
        ([9, 10, 10, 10], 2, 1),  # the count starts afresh
        ([9, 10, 10, 10, 10], 2, 2),
        ([9, 10, 10, 9.5, 9.4], 2, 2),  # better than before the drop, but not the lowest
        ([5] * 16, 5, 3),
        ([5, 5], 1, 1),
    ],
)
def test_plateaus(errors: list[float], patience: int, drops: int) -> None:
    assert plateaus(errors, patience) == drops


def test_the_texts_rule_drops_three_times_and_then_ends() -> None:
    rates, errors = [], []
    while not PAPER.is_over(len(errors), errors, []):
        rates.append(PAPER.lr(len(errors), errors))
        errors.append(50.0)
    assert rates == pytest.approx([1e-2] * 6 + [1e-3] * 5 + [1e-4] * 5 + [1e-5] * 5, rel=1e-12)


def test_the_texts_rule_ends_with_the_budget_at_the_latest() -> None:
    falling = [90.0 - epoch for epoch in range(90)]
    assert [PAPER.is_over(epoch, falling[:epoch], []) for epoch in (89, 90)] == [False, True]


def test_the_logged_end() -> None:
    assert [ALEXNET_2012.is_over(epoch, [50.0] * epoch, []) for epoch in (92, 93)] == [False, True]


def test_a_shortened_course_keeps_its_shares() -> None:
    short = ALEXNET_2012.shortened(31)  # a third
    assert (short.epochs, short.lr_milestones, short.conv1_lr_milestones) == (
        31,
        (8, 17, 26),
        (23,),
    )
    assert (short.conv1_freeze_epoch, short.color_noise_end) == (24, 23)
    assert ALEXNET_2012.shortened(93) == ALEXNET_2012
    assert AlexNetRecipe.finetuning().shortened(18).conv1_lr_milestones == (0, 2)
    assert PAPER.shortened(9) == replace(PAPER, epochs=9)
