"""The rule: its truth table, and its error rates over synthetic records."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from reproductions.harness.rule.verdict import (
    Verdict,
    at_most_earned,
    detectable,
    judge_difference,
    judge_exact,
    judge_speedup,
    judge_value,
    seeds_needed,
    welch,
)

RULE = {"budget": 60.0, "paper": 6.0, "min_effect": 2.0}
epochs = st.floats(0.1, 60)
arms = st.integers(2, 8).flatmap(
    lambda n: st.tuples(*[st.lists(epochs | st.none(), min_size=n, max_size=n)] * 2)
)


def rule(fast: list[float | None], slow: list[float | None], planned: int | None = None) -> Verdict:
    return judge_speedup(fast, slow, planned=planned or len(fast), **RULE)


@pytest.mark.parametrize(
    ("fast", "slow", "word", "magnitude"),
    [
        ([6, 6.2, 5.8, 6.1, 5.9], [36, 37, 35, 38, 34], "confirmed", "as claimed"),
        ([5, 6, 7, 6, 6], [26, 27, 22, 24, 34], "confirmed", "compatible"),
        ([6, 6.2, 5.8, 6.1, 5.9], [18, 18.5, 17.8, 18.1, 17.9], "direction only", "smaller"),
        ([6, 6.2, 5.8, 6.1, 5.9], [58, 58.5, 57.8, 58.1, 57.9], "direction only", "larger"),
        ([6, 6.2, 5.8, 6.1, 5.9], [7.2, 7.3, 7.1, 7.4, 7.2], "direction only", "smaller"),
        ([36, 37, 35, 38, 34], [6, 6.2, 5.8, 6.1, 5.9], "reversed", None),
        ([6, 6.2, 5.8, 6.1, 5.9], [6.1, 6.0, 5.9, 6.2, 5.8], "not supported", None),
        ([2, 30, 8, 15, 4], [4, 50, 9, 20, 7], "inconclusive", None),
        ([6.0], [36.0], "inconclusive", None),
        ([], [], "not run", None),
        ([], [36.0], "not run", None),
        ([6, 6, 6, 6, 6], [None] * 5, "direction only", "at least"),
        ([6, 6, 6, 6, 6], [36, 40, None, 38, 39], "direction only", "at least"),
        ([None] * 5, [6, 6, 6, 6, 6], "reversed", "at most"),
        ([6, 6, 6], [None] * 3, "inconclusive", None),  # p of three against three is 0.1
        ([6, 40, None, 6, 6], [36, 38, 40, None, 37], "inconclusive", None),
        ([None] * 5, [None] * 5, "inconclusive", None),
    ],
)
def test_truth_table(
    fast: list[float | None], slow: list[float | None], word: str, magnitude: str | None
) -> None:
    verdict = rule(fast, slow)
    assert (verdict.word, verdict.magnitude) == (word, magnitude)


def test_numbers_by_hand() -> None:
    """Logs 0, 0.2 against 1, 1.4: difference 1.1, se √(0.01 + 0.04), df 0.05² / (0.01² + 0.04²)."""
    verdict = judge_speedup([1.0, math.exp(0.2)], [math.exp(1), math.exp(1.4)], planned=2, **RULE)
    error, df = math.sqrt(0.05), 0.05**2 / (0.01**2 + 0.04**2)
    half = stats.t.ppf(0.975, df) * error
    assert verdict.effect == pytest.approx(math.exp(1.1))
    assert verdict.low == pytest.approx(math.exp(1.1 - half))
    assert verdict.high == pytest.approx(math.exp(1.1 + half))
    assert verdict.prediction is not None
    spread = math.sqrt(0.02 * 1.5 + 0.08 * 1.5)
    assert verdict.prediction[1] == pytest.approx(math.exp(1.1 + stats.t.ppf(0.975, df) * spread))


def test_is_scipys_welch() -> None:
    fast, slow = np.log([5.0, 6.1, 7.3]), np.log([20.0, 31.0, 26.0])
    effect, error, df = welch(fast, slow)
    theirs = stats.ttest_ind(slow, fast, equal_var=False)
    assert effect / error == pytest.approx(theirs.statistic)
    assert df == pytest.approx(theirs.df)


def test_fewer_seeds_than_planned_decide_nothing_but_are_shown() -> None:
    verdict = rule([6, 6.1, 5.9], [36, 37, 35], planned=5)
    assert verdict.word == "inconclusive"
    assert verdict.reason == "3 of 5 seeds"
    assert verdict.effect == pytest.approx(6, rel=0.01)


def test_an_undecided_row_says_how_many_seeds_would_decide() -> None:
    verdict = rule([2, 30, 8, 15, 4], [4, 50, 9, 20, 7])
    assert verdict.seeds_needed is not None
    spread = math.sqrt(
        (np.log([2, 30, 8, 15, 4]).var(ddof=1) + np.log([4, 50, 9, 20, 7]).var(ddof=1)) / 2
    )
    assert verdict.seeds_needed == seeds_needed(spread, math.log(2))
    assert (
        detectable(spread, verdict.seeds_needed)
        <= math.log(2)
        < detectable(spread, verdict.seeds_needed - 1)
    )
    assert rule([6, 9, 4, 7, 5], [9, 6, 12, 7, 10]).seeds_needed == 6, "never fewer than there are"


@pytest.mark.parametrize("bad", [math.nan, math.inf, 0.0, -1.0])
def test_numbers_that_are_no_epochs_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        rule([6.0, bad], [36.0, 37.0])


@given(arms)
def test_swapping_the_arms_never_keeps_a_direction(
    pair: tuple[list[float | None], list[float | None]],
) -> None:
    fast, slow = pair
    there, back = rule(fast, slow).word, rule(slow, fast).word
    mirror = {
        "confirmed": {"reversed"},
        "direction only": {"reversed"},
        "reversed": {"confirmed", "direction only"},
    }
    assert back in mirror.get(there, {there})


@given(arms, st.floats(0.2, 5))
def test_scaling_both_arms_changes_nothing(
    pair: tuple[list[float | None], list[float | None]], factor: float
) -> None:
    fast, slow = ([None if e is None else e * factor for e in arm] for arm in pair)
    scaled = judge_speedup(fast, slow, planned=len(fast), budget=60 * factor, paper=6, min_effect=2)
    original = rule(*pair)
    if original.effect is not None:
        assert scaled.effect == pytest.approx(original.effect, rel=1e-9)


def simulate(
    n: int, effect: float, spreads: tuple[float, float], count: int, seed: int
) -> list[Verdict]:
    rng = np.random.default_rng(seed)
    fast = np.exp(rng.normal(math.log(6), spreads[0], (count, n)))
    slow = np.exp(rng.normal(math.log(6) + effect, spreads[1], (count, n)))
    return [
        judge_speedup(list(a), list(b), planned=n, budget=1e9, paper=6.0, min_effect=2.0)
        for a, b in zip(fast, slow, strict=True)
    ]


@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("spread", [0.1, 0.7])
def test_false_confirmation_is_rare_under_no_effect(n: int, spread: float) -> None:
    """At most 2.5 %, to within two standard errors (0.16 %) of 10,000 simulations."""
    words = [verdict.word for verdict in simulate(n, 0.0, (spread, spread), 10_000, n)]
    assert words.count("confirmed") / len(words) <= 0.025 + 2 * 0.0016
    assert (words.count("confirmed") + words.count("direction only")) / len(
        words
    ) <= 0.025 + 2 * 0.0016


@pytest.mark.parametrize(
    ("n", "spreads"),
    [(3, (0.1, 0.2)), (5, (0.1, 0.2)), (10, (0.1, 0.2)), (5, (0.1, 0.1)), (10, (0.1, 0.1))],
)
def test_the_interval_covers_the_truth_as_often_as_it_says(
    n: int, spreads: tuple[float, float]
) -> None:
    """With equal spreads, n = 3, Welch's interval is cautious (96.5 % simulated); left out here."""
    verdicts = simulate(n, math.log(6), spreads, 10_000, n)
    covered = np.mean([v.low <= 6 <= v.high for v in verdicts if v.low and v.high])
    assert 0.94 <= covered <= 0.96


def test_a_real_effect_of_the_claimed_size_is_confirmed() -> None:
    words = [verdict.word for verdict in simulate(5, math.log(6), (0.1, 0.1), 500, 0)]
    assert words.count("confirmed") / len(words) > 0.97


@pytest.mark.parametrize(
    ("measured", "tolerance", "at_most", "word"),
    [
        (60_965_224, 0.02, False, "confirmed"),
        (61_300_000, 0.02, False, "refuted"),
        (60e6, 0.0, False, "confirmed"),
        (60e6 + 1, 0.0, False, "refuted"),
        (1, 0.0, True, "confirmed"),
        (60e6 + 1, 0.0, True, "refuted"),
    ],
)
def test_exact(measured: float, tolerance: float, at_most: bool, word: str) -> None:
    assert judge_exact(measured, paper=60e6, tolerance=tolerance, at_most=at_most).word == word


@pytest.mark.parametrize(
    ("scale", "canonical", "word"),
    [
        ("paper", True, "confirmed"),
        ("paper", False, "consistent"),
        ("reduced", True, "consistent"),
        ("mini", True, "consistent"),
        ("smoke", True, "none"),
    ],
)
def test_what_a_scale_can_earn(scale: str, canonical: bool, word: str) -> None:
    assert at_most_earned(Verdict("confirmed", "r"), scale, canonical).word == word
    other = at_most_earned(Verdict("reversed", "r"), scale, canonical).word
    assert other == ("none" if scale == "smoke" else "reversed")


def points(lower: list[float], higher: list[float], **options: Any) -> Verdict:
    defaults = {
        "paired": False,
        "paper": 1.4,
        "min_effect": 0.3,
        "planned": len(lower),
        "unit": "points",
    }
    return judge_difference(lower, higher, **{**defaults, **options})


NEAR = [40.0, 40.2, 39.8]


@pytest.mark.parametrize(
    ("gain", "options", "word", "magnitude"),
    [
        (1.4, {}, "confirmed", "as claimed"),
        # the interval ends at 0.8 + 0.453, that of one more run at 0.8 + 0.906
        (0.8, {}, "confirmed", "compatible"),
        (3.0, {}, "direction only", "larger"),
        (3.0, {"at_least": True}, "confirmed", "as claimed"),
        (0.8, {"at_least": True, "paper": 3.0}, "direction only", "smaller"),
        (-2.0, {}, "reversed", None),
        (0.0, {"min_effect": 0.5}, "not supported", None),
        (0.0, {}, "inconclusive", None),
        (1.0, {"paper": None}, "confirmed", None),
        (1.0, {"paper": None, "min_effect": 3.5}, "direction only", "smaller"),
        (1.4, {"planned": 5}, "inconclusive", None),
    ],
)
def test_differences(
    gain: float, options: dict[str, Any], word: str, magnitude: str | None
) -> None:
    """Both arms have sd 0.2: standard error 0.1633, df 4, t 2.776: ± 0.453; one more ± 0.907."""
    verdict = points(NEAR, [value + gain for value in NEAR], **options)
    assert (verdict.word, verdict.magnitude) == (word, magnitude)
    assert verdict.effect == pytest.approx(gain)
    assert verdict.high == pytest.approx(gain + 0.4533, abs=1e-3)
    assert verdict.prediction == pytest.approx((gain - 0.9067, gain + 0.9067), abs=1e-3)


def test_runs_are_compared_with_themselves() -> None:
    """Differences 1.4, 1.6, 1.5: sd 0.1, standard error 0.0577, t(2) 4.303.

    Runs far apart do not blur it.
    """
    verdict = points([40.0, 50.0, 60.0], [41.4, 51.6, 61.5], paired=True)
    assert verdict.word == "confirmed"
    assert (verdict.low, verdict.high) == pytest.approx((1.5 - 0.2484, 1.5 + 0.2484), abs=1e-3)
    assert points([40.0, 50.0, 60.0], [41.4, 51.6, 61.5]).word == "inconclusive"


@pytest.mark.parametrize(
    ("values", "paper", "word"),
    [
        ([37.0, 37.6, 37.3], 37.5, "confirmed"),
        ([37.0, 37.6, 37.3], 45.7, "not supported"),
        ([37.5], 37.5, "inconclusive"),
        ([], 37.5, "not run"),
    ],
)
def test_printed_values(values: list[float], paper: float, word: str) -> None:
    assert judge_value(values, paper=paper, planned=3).word == word


def test_a_printed_value_is_not_judged_by_another_network() -> None:
    verdict = judge_value([79.0, 79.5, 79.2], paper=37.5, planned=3)
    assert at_most_earned(verdict, "mini", canonical=True, comparable=False).word == "none"
    assert (
        at_most_earned(verdict, "paper", canonical=True, comparable=False).word == "not supported"
    )


def test_runs_compared_with_themselves_need_fewer_seeds() -> None:
    """One arm: df n − 1 and √(1/n). At n = 10: (2.2622 + 0.8834) · 1 · √0.1."""
    assert detectable(1.0, 10, arms=1) == pytest.approx(0.99473, abs=1e-4)
    seeds = seeds_needed(1.0, 0.5, arms=1)
    assert detectable(1.0, seeds, arms=1) <= 0.5 < detectable(1.0, seeds - 1, arms=1)
    verdict = points([40.0, 50.0, 60.0], [40.2, 49.7, 60.4], paired=True)
    assert verdict.seeds_needed == seeds_needed(0.36056, 0.3, arms=1)
    assert "seeds would decide" in verdict.reason
