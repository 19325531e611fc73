"""The rule: intervals against numpy, one word per situation, and what many questions do to it."""

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from reproductions.harness.rule.curves import Point, epochs_to, pass_means
from reproductions.harness.rule.effect import (
    Answers,
    Effect,
    Times,
    effect_of,
    effect_of_times,
    images_variance,
)
from reproductions.harness.rule.gates import first_drop, not_ended, not_overfitted
from reproductions.harness.rule.many import changes_at, survivors
from reproductions.harness.rule.power import detectable, seeds_needed
from reproductions.harness.rule.verdict import Asked, judge, judge_exact, judge_value

POINTS = Asked(least=0.3, paper=1.4, unit="points")
SIXFOLD = Asked(least=2.0, paper=6.0, ratio=True)
DIRECTION = Asked(least=3.5, unit="points")
OVER = Asked(least=0.3, paper=1.0, over=True)
NO_DIFFERENCE = Asked(least=5.0, paper=0.0, none=True)
NUMBERS = st.floats(-100, 100)


@given(st.lists(NUMBERS, min_size=2, max_size=12), st.sampled_from([0.8, 0.95, 0.999]))
def test_the_interval_is_students(values: list[float], level: float) -> None:
    found = effect_of(values).interval(level)
    sem = stats.sem(values)
    if sem > 1e-9:
        wanted = stats.t.interval(level, len(values) - 1, np.mean(values), sem)
        assert found == pytest.approx(wanted, abs=1e-8)


def test_the_images_widen_the_interval_by_their_variance() -> None:
    seeds = effect_of([1.0, 2.0, 3.0])
    both = effect_of([1.0, 2.0, 3.0], images=0.25)
    narrow, wide = seeds.interval(), both.interval()
    assert narrow
    assert wide
    half = math.sqrt((narrow[1] - 2) ** 2 + 1.959964**2 * 0.25)
    assert wide == pytest.approx((2 - half, 2 + half))


def answers(right: np.ndarray) -> Answers:
    return Answers(int("".join("1" if bit else "0" for bit in right), 2), len(right))


@given(st.integers(2, 5), st.integers(2, 60), st.integers(0, 10_000), st.booleans())
def test_the_images_part_is_the_formula_on_the_table(
    n: int, images: int, seed: int, paired: bool
) -> None:
    random = np.random.default_rng(seed)
    hard = random.random(images)  # the same images are hard for every seed
    one, other = random.random((2, n, images)) > hard
    if not paired:
        other[:] = True
    table = 100.0 * (other.astype(float) - one)
    of_images, of_seeds = table.mean(axis=0), table.mean(axis=1)
    left = table - of_images - of_seeds[:, None] + table.mean()
    residual = (left**2).sum() / ((n - 1) * (images - 1))
    wanted = max(0.0, of_images.var(ddof=1) / images - residual / (n * images))
    pairs = [
        (answers(mine), answers(its) if paired else None)
        for mine, its in zip(one, other, strict=True)
    ]
    assert images_variance(pairs) == pytest.approx(wanted, rel=1e-9, abs=1e-9)


def test_answers_to_other_images_are_refused() -> None:
    with pytest.raises(ValueError, match="different numbers of images"):
        images_variance([(Answers(1, 2), Answers(1, 3))])


@pytest.mark.parametrize(
    ("values", "asked", "scale", "word"),
    [
        ([], POINTS, "paper", "not run"),
        ([math.nan], POINTS, "paper", "not run"),
        ([1.4], POINTS, "paper", "undecided"),
        ([1.4, math.nan], POINTS, "paper", "undecided"),
        ([1.3, 1.4, 1.5], POINTS, "paper", "confirmed"),
        ([1.4, 1.4, 1.4], POINTS, "paper", "confirmed"),
        ([1.3, 1.4, 1.5], POINTS, "mini", "same direction"),
        ([1.3, 1.4, 1.5], POINTS, "smoke", "–"),
        ([0.35, 0.4, 0.45], POINTS, "paper", "different size"),
        ([3.4, 3.5, 3.6], POINTS, "paper", "different size"),
        ([0.5, 0.7, 0.9], POINTS, "paper", "same direction"),
        ([-0.1, 0.0, 0.1], POINTS, "paper", "no effect"),
        ([0.0, 0.0], POINTS, "paper", "no effect"),
        ([0.2, 0.21, 0.2], POINTS, "mini", "no effect"),
        ([-0.2, -0.21, -0.2], POINTS, "mini", "no effect"),
        ([-1.0, 0.0, 1.0], POINTS, "paper", "undecided"),
        ([-1.3, -1.4, -1.5], POINTS, "mini", "opposite direction"),
        ([-1.3, -1.4, -1.5], POINTS, "paper", "opposite direction"),
        ([4.0, 4.1, 4.2], DIRECTION, "paper", "confirmed"),
        ([3.0, 4.0, 5.0], DIRECTION, "paper", "same direction"),
        ([3.0, 3.1, 3.2], DIRECTION, "paper", "no effect"),
        ([1.1, 1.2, 1.3], OVER, "paper", "same direction"),
        ([1.2, 1.21, 1.22], OVER, "paper", "confirmed"),
        ([0.6, 0.61, 0.62], OVER, "paper", "different size"),
        ([-0.5, 0.0, 0.5], NO_DIFFERENCE, "mini", "no effect"),
        ([6.0, 6.1, 6.2], NO_DIFFERENCE, "mini", "different size"),
        ([-6.0, -6.1, -6.2], NO_DIFFERENCE, "mini", "different size"),
        ([4.0, 5.0, 6.0], NO_DIFFERENCE, "mini", "undecided"),
        ([math.log(x) for x in (5.9, 6.0, 6.1)], SIXFOLD, "paper", "confirmed"),
        ([math.log(x) for x in (2.9, 3.0, 3.1)], SIXFOLD, "paper", "different size"),
        ([math.log(x) for x in (1.3, 1.32, 1.34)], SIXFOLD, "paper", "no effect"),
        ([math.log(x) for x in (0.3, 0.31, 0.32)], SIXFOLD, "paper", "opposite direction"),
    ],
)
def test_one_word_per_situation(values: list[float], asked: Asked, scale: str, word: str) -> None:
    verdict = judge(effect_of(values), asked, scale)
    assert verdict.word == word
    assert verdict.mark == ("as claimed" if asked.none and word == "no effect" else "")


def test_an_open_size_names_the_seeds_that_it_takes() -> None:
    verdict = judge(effect_of([1.0, 2.1, 3.2, 2.5, 1.0]), POINTS, "paper")
    assert verdict.word == "same direction"
    n = int(verdict.reason.rpartition("about ")[2].removesuffix(" seeds"))
    sd = float(np.std([1.0, 2.1, 3.2, 2.5, 1.0], ddof=1))
    widths = [stats.t.ppf(0.975, k - 1) * sd / math.sqrt(k) for k in (n, n - 1)]
    assert widths[0] <= 2.8 - 1.96 < widths[1]


def test_a_failed_gate_comes_before_the_number_of_pairs() -> None:
    verdict = judge(effect_of([1.3]), POINTS, "mini", gate="six epochs")
    assert (verdict.word, verdict.reason) == ("too short to tell", "six epochs")
    assert verdict.effect == 1.3, "the number is shown"
    assert judge(Effect(0), POINTS, "mini", gate="six epochs").word == "not run"


def times(*pairs: tuple[float | None, float | None]) -> Effect:
    return effect_of_times([Times(slow, fast, 60.0) for slow, fast in pairs])


def test_a_slow_run_that_does_not_arrive_opens_the_upper_end() -> None:
    verdict = judge(times((40.0, 6.0), (42.0, 6.1), (None, 6.0)), SIXFOLD, "paper")
    assert (verdict.word, verdict.high) == ("same direction", math.inf)
    assert verdict.effect == pytest.approx((40 / 6 * 42 / 6.1 * 60 / 6) ** (1 / 3))
    far = judge(times((50.0, 2.0), (51.0, 2.0), (None, 2.0)), SIXFOLD, "paper")
    assert far.word == "different size", "the low end is above twice the excess"


def test_a_fast_run_that_does_not_arrive_opens_the_lower_end() -> None:
    verdict = judge(times((40.0, 6.0), (42.0, 6.1), (41.0, None)), SIXFOLD, "paper")
    assert (verdict.word, verdict.low) == ("undecided", 0.0)


def test_pairs_at_their_bound_do_not_decide_alone() -> None:
    one = judge(times((40.0, 6.0), (None, 6.0), (None, 6.1)), SIXFOLD, "paper")
    assert (one.word, one.low, one.high) == ("undecided", None, None)
    assert one.measured
    assert one.measured.bound == "≥ "
    assert judge(times((None, None), (None, None)), SIXFOLD, "paper").word == "not run"
    assert times((None, None), (40.0, 6.0)).n == 1, "a pair without any arrival is not counted"


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.nan, math.inf])
def test_impossible_epochs_are_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        times((wrong, 6.0))


@given(st.lists(st.floats(-3, 6), min_size=2, max_size=8), st.floats(0.1, 2), st.floats(0, 1))
def test_the_words_follow_from_the_interval(
    values: list[float], paper: float, images: float
) -> None:
    """The rule written once more from its text."""
    asked = Asked(least=paper / 4, paper=paper)
    verdict = judge(effect_of(values, images), asked, "paper")
    low, high = verdict.low, verdict.high
    assert low is not None
    assert high is not None
    if -paper / 4 <= low and high <= paper / 4:
        word = "no effect"
    elif low <= 0 <= high:
        word = "undecided"
    elif high < 0:
        word = "opposite direction"
    elif paper / 2 <= low and high <= 2 * paper:
        word = "confirmed"
    elif high < paper / 2 or low > 2 * paper:
        word = "different size"
    else:
        word = "same direction"
    assert verdict.word == word


@pytest.mark.parametrize(
    ("values", "scale", "word"),
    [
        ([], "paper", "not run"),
        ([37.5], "paper", "undecided"),
        ([37.4, 37.5, 37.6], "paper", "confirmed"),
        ([41.0, 41.1, 41.2], "paper", "different size"),
        ([38.0, 38.5, 39.0], "paper", "undecided"),
        ([80.0, 80.1, 80.2], "mini", "–"),
    ],
)
def test_a_printed_value(values: list[float], scale: str, word: str) -> None:
    assert judge_value(effect_of(values), paper=37.5, tolerance=1.0, scale=scale).word == word


@pytest.mark.parametrize(
    ("measured", "tolerance", "at_most", "holds"),
    [
        (60_965_224, 0.02, False, True),
        (62e6, 0.02, False, False),
        (1.452, 0.0, True, False),
        (0.5, 0.0, True, True),
        (8, 0.0, False, True),
    ],
)
def test_a_count(measured: float, tolerance: float, at_most: bool, holds: bool) -> None:
    paper = 60e6 if measured > 100 else 1.0 if at_most else 8
    verdict = judge_exact(measured, paper=paper, tolerance=tolerance, at_most=at_most)
    assert verdict.word == ("holds" if holds else "does not hold")


COURSE = [80.0 - 3 * k for k in range(10)] + [50.0] * 14 + [45.0] * 20


@pytest.mark.parametrize(
    ("course", "drop", "scale", "why"),
    [
        (COURSE, 24, "mini", ""),
        (COURSE, None, "mini", ""),
        (COURSE[:6], 4, "mini", "it had 4 epochs before the first drop of the rate"),
        (COURSE[:11] + COURSE[24:], 11, "mini", "it had 11 epochs before the first drop"),
        (COURSE[:14] + COURSE[24:], 14, "mini", "still fell by"),
        ([80.0 - k for k in range(20)], 14, "paper", "still fell by 1.0 points"),
        (COURSE[:4] + COURSE[24:], 4, "paper", ""),
        ([50.0], None, "paper", "had not levelled off"),
        ([], None, "mini", "no test error per epoch"),
    ],
)
def test_whether_a_course_had_ended(
    course: list[float], drop: int | None, scale: str, why: str
) -> None:
    found = not_ended([course, course] if course else [], [drop, drop] if course else [], scale)
    assert why in found if why else found == ""


def test_each_seed_has_its_own_first_drop_and_end() -> None:
    late, early = [60.0] * 30 + [50.0] * 10, [60.0] * 13 + [50.0] * 27
    assert not_ended([late, early], [30, 13], "mini") == not_ended([early, late], [13, 30], "mini")
    falling = [90.0 - k for k in range(60)]
    assert "still fell" in not_ended([falling, [50.0] * 40], [None, None], "paper")


def test_the_course_is_the_mean_over_seeds() -> None:
    worse, better = [50.0 + 0.6 * (k < 6) for k in range(40)], [50.0] * 40
    falling = [56.0 - 0.4 * k for k in range(40)]
    assert not_ended([worse, better], [None, None], "mini") == ""
    assert "still fell" in not_ended([better, falling], [None, None], "mini")


def test_the_first_drop_of_a_rate() -> None:
    assert first_drop([0.01, 0.01, 0.001, 0.0001]) == 2
    assert first_drop([0.001, 0.01, 0.01]) is None
    assert first_drop([]) is None


def test_whether_a_network_overfits() -> None:
    assert not_overfitted([9.0, 11.0]) == ""
    assert "gap of 9.9 points" in not_overfitted([9.9, None])
    assert "no run has the gap" in not_overfitted([None])


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_what_is_detectable_has_its_power(n: int) -> None:
    effect = detectable(0.7, n)
    shift = effect * math.sqrt(n) / 0.7
    power = stats.nct.sf(stats.t.ppf(0.975, n - 1), n - 1, shift)
    assert power == pytest.approx(0.8, abs=1e-6)


def test_the_seeds_needed_are_the_fewest() -> None:
    n = seeds_needed(0.5, 0.3)
    assert detectable(0.5, n) <= 0.3 < detectable(0.5, n - 1)
    assert seeds_needed(0.0, 0.3) == 2


def test_the_mean_over_one_pass_moves_row_by_row() -> None:
    errors = [60, 50, 40, 30, 20, 12, 11, 10]
    curve = [Point(k / 4 + 0.25, 30.0 if k % 4 == 3 else 20.0, e) for k, e in enumerate(errors)]
    found = pass_means(curve, images=90)
    assert [epoch for epoch, _ in found] == [1.0, 1.25, 1.5, 1.75, 2.0]
    assert found[0][1] == pytest.approx((20 * (60 + 50 + 40) + 30 * 30) / 90)
    assert found[-1][1] == pytest.approx((20 * (20 + 12 + 11) + 30 * 10) / 90)
    assert epochs_to(found, 25.0) == pytest.approx(
        1.5 + 0.25 * (found[2][1] - 25) / (found[2][1] - found[3][1])
    )
    assert pass_means(curve[:3], images=90) == []


@given(st.integers(0, 1000), st.integers(2, 7), st.floats(0.1, 5))
def test_a_saw_within_the_epoch_does_not_move_the_time(seed: int, rows: int, height: float) -> None:
    """The running error of a flat curve saws within each epoch; its mean over a pass does not."""
    random = np.random.default_rng(seed)
    saw = random.normal(size=rows)
    saw = height * (saw - saw.mean())
    curve = [Point((k + 1) / rows, 10.0, 40.0 + saw[k % rows]) for k in range(4 * rows)]
    means = [error for _, error in pass_means(curve, 10 * rows)]
    assert means == pytest.approx([40.0] * (3 * rows + 1))


def test_holm_asks_more_of_the_smallest_level() -> None:
    assert survivors([0.04, 0.012, 0.03]) == [False, True, False]
    assert survivors([0.001, 0.02, 0.04]) == [True, True, True]
    assert survivors([]) == []


@settings(max_examples=25)
@given(st.lists(st.floats(0.2, 3), min_size=3, max_size=6))
def test_a_word_changes_where_its_interval_touches_a_limit(values: list[float]) -> None:
    effect = effect_of(values)

    def word_at(level: float) -> str:
        return judge(effect, DIRECTION, "mini", level=1 - level).word

    found = changes_at(word_at)  # type: ignore[arg-type]
    assert word_at(found) == word_at(0.05)
    if found > 3e-4:
        assert word_at(found / 1.01) != word_at(0.05)


def test_the_rule_keeps_its_bars() -> None:
    """With few draws; `python -m tests.simulate_rule --check` alone takes a minute."""
    command = [sys.executable, "-m", "tests.simulate_rule", "--check", "--draws", "200"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
