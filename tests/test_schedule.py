"""Rates and ends of trainings: net #145's logged epochs, the plateau rule on made sequences."""

from dataclasses import replace

import pytest

from alexnet.config import AlexNetRecipe
from alexnet.config.alexnet import plateaus

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
    assert [recipe.is_over(epoch, [], None) for epoch in (53, 54)] == [False, True]


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
    while not PAPER.is_over(len(errors), errors, None):
        rates.append(PAPER.lr(len(errors), errors))
        errors.append(50.0)
    assert rates == pytest.approx([1e-2] * 6 + [1e-3] * 5 + [1e-4] * 5 + [1e-5] * 5, rel=1e-12)


def test_the_logged_end() -> None:
    assert [ALEXNET_2012.is_over(epoch, [50.0] * epoch, None) for epoch in (92, 93)] == [
        False,
        True,
    ]


def test_the_texts_rule_ends_with_the_budget_at_the_latest() -> None:
    falling = [90.0 - epoch for epoch in range(90)]
    assert not PAPER.is_over(89, falling[:89], None)
    assert PAPER.lr(89, falling[:89]) == 1e-2
    assert PAPER.is_over(90, falling, None)


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
