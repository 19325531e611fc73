"""Rates and ends of trainings: the logged epochs of net #145, and the plateau rule on sequences made by hand."""

from dataclasses import replace

import pytest

from alexnet.config import AlexNetRecipe
from alexnet.schedule import is_over, layer_factor, plateau_drops, rate_of

ORIGINAL, PAPER = AlexNetRecipe.original(), AlexNetRecipe.paper()


@pytest.mark.parametrize(
    ("epoch", "rate"),
    [(0, 1e-2), (22, 1e-2), (23, 1e-3), (50, 1e-3), (51, 1e-4), (68, 1e-4), (77, 1e-4), (78, 1e-5), (92, 1e-5)],
)
def test_the_logged_drops(epoch: int, rate: float) -> None:
    assert rate_of(ORIGINAL, epoch, []) == pytest.approx(rate, rel=1e-12)
    assert rate_of(ORIGINAL, epoch, [50.0] * epoch) == pytest.approx(rate, rel=1e-12)  # errors do not matter to it


@pytest.mark.parametrize(
    ("epoch", "rate"), [(0, 1e-2), (23, 1e-3), (51, 1e-4), (67, 1e-4), (68, 1e-5), (71, 1e-5), (72, 0), (92, 0)]
)
def test_conv1_is_slowed_and_then_frozen(epoch: int, rate: float) -> None:
    assert rate_of(ORIGINAL, epoch, []) * layer_factor(ORIGINAL, "conv1", epoch) == pytest.approx(rate, rel=1e-12)
    for layer in ("conv2", "conv5", "fc6", "fc8"):
        assert layer_factor(ORIGINAL, layer, epoch) == 1


def test_the_logged_end() -> None:
    assert not is_over(ORIGINAL, 92, [50.0] * 92)
    assert is_over(ORIGINAL, 93, [50.0] * 93)


def test_finetuning_by_its_log() -> None:
    recipe = AlexNetRecipe.finetuning()
    rates = {
        epoch: [rate_of(recipe, epoch, []) * layer_factor(recipe, layer, epoch) for layer in ("conv1", "conv2", "fc8")]
        for epoch in (0, 4, 5, 7, 8, 9, 21, 22, 41, 42, 53)
    }
    expected = {
        0: [1e-4, 1e-3, 1e-2], 4: [1e-4, 1e-3, 1e-2], 5: [1e-5, 1e-3, 1e-2], 7: [0, 1e-3, 1e-2], 8: [0, 1e-3, 1e-2],
        9: [0, 1e-3, 1e-3], 21: [0, 1e-3, 1e-3], 22: [0, 1e-4, 1e-4], 41: [0, 1e-4, 1e-4], 42: [0, 1e-5, 1e-5], 53: [0, 1e-5, 1e-5],
    }  # fmt: skip
    for epoch, row in expected.items():
        assert rates[epoch] == pytest.approx(row, rel=1e-12)
    assert (recipe.noise_off, is_over(recipe, 53, []), is_over(recipe, 54, [])) == (38, False, True)


@pytest.mark.parametrize(
    ("errors", "patience", "drops"),
    [
        ([], 2, 0),
        ([9, 8, 7, 6], 2, 0),
        ([9, 9], 2, 0),  # one epoch without a lower value
        ([9, 9, 9], 2, 1),  # two: as low is not lower
        ([9, 10, 8, 9, 7, 8], 2, 0),  # a lower value in between
        ([9, 10, 10, 10], 2, 1),  # the count starts afresh
        ([9, 10, 10, 10, 10], 2, 2),
        ([9, 10, 10, 9.5, 9.4], 2, 2),  # better than before the drop, but not the lowest
        ([9, 10, 10, 8, 9, 9], 2, 2),
        ([9, 10, 10, 8, 9, 7], 2, 1),
        ([5] * 16, 5, 3),
        ([5] * 15, 5, 2),
        ([5, 5], 1, 1),
    ],
)
def test_plateaus(errors: list[float], patience: int, drops: int) -> None:
    assert plateau_drops(errors, patience) == drops


def test_the_texts_rule_drops_three_times_and_then_ends() -> None:
    rates, errors = [], []
    while not is_over(PAPER, len(errors), errors):
        rates.append(rate_of(PAPER, len(errors), errors))
        errors.append(50.0)
    assert rates == pytest.approx([1e-2] * 6 + [1e-3] * 5 + [1e-4] * 5 + [1e-5] * 5, rel=1e-12)


def test_the_texts_rule_ends_with_the_budget_at_the_latest() -> None:
    falling = [90.0 - epoch for epoch in range(90)]
    assert not is_over(PAPER, 89, falling[:89])
    assert rate_of(PAPER, 89, falling[:89]) == 1e-2
    assert is_over(PAPER, 90, falling)


def test_a_drop_takes_effect_in_the_epoch_after_the_patience_ran_out() -> None:
    recipe = replace(PAPER, plateau=2)
    assert rate_of(recipe, 2, [9.0, 9.0]) == 1e-2
    assert rate_of(recipe, 3, [9.0, 9.0, 9.0]) == pytest.approx(1e-3, rel=1e-12)


def test_a_shortened_course_keeps_its_shares() -> None:
    short = ORIGINAL.shortened(31)  # a third
    assert (short.epochs, short.drops, short.conv1_drops, short.conv1_freeze, short.noise_off) == (31, (8, 17, 26), (23,), 24, 23)
    assert ORIGINAL.shortened(93) == ORIGINAL
    assert AlexNetRecipe.finetuning().shortened(18).conv1_drops == (0, 2)
    assert PAPER.shortened(9) == replace(PAPER, epochs=9)
