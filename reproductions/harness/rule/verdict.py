"""One rule for every claim, fixed before the runs: direction and magnitude are judged apart.

Imports neither torch nor pandas.

The effect of a claim is δ. For a difference it is mean metric of the higher arm − mean metric of
the lower arm, for a speed-up mean log(epochs of the slow arm) − mean log(epochs of the fast arm);
both with Welch's t interval over seeds: a run with its own seed is the only unit of replication,
and the arms may differ in spread. Two metrics of the same runs are compared run by run, with the t
interval of their differences.

direction   supported       the 95 % interval of δ lies above 0
            reversed        it lies below 0
            not supported   the 90 % interval lies within ± the smallest effect of interest
                            (two one-sided tests, TOST)
            inconclusive    otherwise
magnitude   as claimed      the paper's effect lies in the 95 % interval; below it, where the paper
                            says "over"
            compatible      not there, but in the 95 % prediction interval of one more run per arm:
                            the paper's single run of each could have drawn it
            smaller, larger otherwise; smaller too where the whole interval is below the smallest
                            effect of interest

`confirmed` is supported with a magnitude as claimed or compatible, or, where the paper gives no
number, with an interval that reaches what is of interest; `direction only` is supported with
another magnitude. A printed value is confirmed if it lies in the 95 % prediction interval of one
more run.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

from reproductions.harness.rule.student_t import t_quantile

Word = Literal[
    "confirmed",
    "consistent",
    "direction only",
    "not supported",
    "reversed",
    "inconclusive",
    "refuted",
    "stale",
    "not run",
    "none",
]


@dataclass(frozen=True)
class Verdict:
    """The outcome for one question on one set of records; None where there is no such number.

    `effect` is what the question asks for: a ratio (slow over fast), a difference (higher minus
    lower) or a mean.
    """

    word: Word
    reason: str
    effect: float | None = None
    low: float | None = None  # 95 % confidence interval of the effect
    high: float | None = None
    prediction: tuple[float, float] | None = (
        None  # 95 % interval for the effect of one more run per arm
    )
    magnitude: str | None = None
    censored: int = 0  # runs that never reached the target
    seeds_needed: int | None = (
        None  # per arm, to see the smallest ratio of interest in four of five attempts
    )


@dataclass(frozen=True)
class Estimate:
    """An effect on the scale where it is added up: logs for ratios."""

    effect: float
    error: float  # standard error
    df: float
    spread: float  # standard deviation of the effect of one more run per arm around the estimate
    sd: float  # of a run, pooled over the arms
    arms: int  # 1 where it is a mean of one number per run

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """The two-sided confidence interval."""
        half = t_quantile((1 + level) / 2, self.df) * self.error
        return self.effect - half, self.effect + half

    def prediction(self) -> tuple[float, float]:
        """The 95 % interval for the effect of one more run per arm."""
        half = t_quantile(0.975, self.df) * self.spread
        return self.effect - half, self.effect + half


def variance(values: Sequence[float]) -> float:
    """The sample variance.

    `statistics.variance` adds exact fractions and takes forty times as long.
    """
    mean = fmean(values)
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)


def welch(lower: Sequence[float], higher: Sequence[float]) -> tuple[float, float, float]:
    """Difference of means (higher − lower), its standard error, and Welch's degrees of freedom."""
    parts = [variance(arm) / len(arm) for arm in (lower, higher)]
    total = sum(parts)
    df = (
        total**2 / sum(p**2 / (len(arm) - 1) for p, arm in zip(parts, (lower, higher), strict=True))
        if total > 0
        else math.inf
    )
    return fmean(higher) - fmean(lower), math.sqrt(total), df


def estimate(lower: Sequence[float], higher: Sequence[float]) -> Estimate:
    """Higher minus lower for runs of their own seeds, by Welch."""
    effect, error, df = welch(lower, higher)
    variances = [variance(arm) for arm in (lower, higher)]
    spread = math.sqrt(
        sum(v * (1 + 1 / len(arm)) for v, arm in zip(variances, (lower, higher), strict=True))
    )
    return Estimate(effect, error, df, spread, math.sqrt(sum(variances) / 2), 2)


def estimate_mean(values: Sequence[float]) -> Estimate:
    """The mean of one number per run."""
    n, sd = len(values), math.sqrt(variance(values))
    return Estimate(fmean(values), sd / math.sqrt(n), n - 1.0, sd * math.sqrt(1 + 1 / n), sd, 1)


def judge_speedup(
    fast: Sequence[float | None],
    slow: Sequence[float | None],
    *,
    budget: float,
    paper: float,
    min_effect: float,
    planned: int,
) -> Verdict:
    """Judge a speed-up from each seed's epochs to the target; None if not within `budget`.

    `paper` and `min_effect` are ratios; `planned` is the number of seeds per arm fixed beforehand.
    Raises ValueError for epochs that are not positive finite numbers.
    """
    for epochs in (*fast, *slow):
        if epochs is not None and not (math.isfinite(epochs) and epochs > 0):
            raise ValueError(f"epochs to the target must be positive, not {epochs}")
    have = min(len(fast), len(slow))
    censored = sum(epochs is None for epochs in (*fast, *slow))
    if not fast and not slow:
        return Verdict("not run", "no records")
    if have < 2 or (have < planned and censored):
        return replace(_too_few(have, planned), censored=censored)
    if censored:
        return _judge_censored(fast, slow, budget, censored)
    measured = estimate(*([math.log(e) for e in arm if e is not None] for arm in (fast, slow)))
    if have < planned:
        return _shown(_too_few(have, planned), measured, math.exp)
    return _decide(
        measured,
        have,
        EffectTarget(
            math.log(paper), math.log(min_effect), False, math.exp, f"{min_effect:g}×", "1"
        ),
    )


def judge_difference(
    lower: Sequence[float],
    higher: Sequence[float],
    *,
    paired: bool,
    paper: float | None,
    min_effect: float,
    planned: int,
    unit: str,
    at_least: bool = False,
) -> Verdict:
    """Judge whether a metric is lower in `lower` than in `higher`, one number per run.

    `paired`: both are of the same runs.

    `paper` (None: a direction alone; with `at_least` a lower bound) and `min_effect` are in the
    metric's unit.
    """
    have = min(len(lower), len(higher))
    if not lower and not higher:
        return Verdict("not run", "no records")
    if have < 2:
        return _too_few(have, planned)
    gains = [more - less for less, more in zip(lower, higher, strict=True)] if paired else []
    measured = estimate_mean(gains) if paired else estimate(lower, higher)
    if have < planned:
        return _shown(_too_few(have, planned), measured, float)
    return _decide(
        measured,
        have,
        EffectTarget(paper, min_effect, at_least, float, f"{min_effect:g} {unit}", "0"),
    )


def judge_value(values: Sequence[float], *, paper: float, planned: int) -> Verdict:
    """Judge whether the paper's number lies in the runs' 95 % prediction interval."""
    if not values:
        return Verdict("not run", "no records")
    if len(values) < 2:
        return replace(_too_few(len(values), planned), effect=values[0])
    measured = estimate_mean(values)
    if len(values) < planned:
        return _shown(_too_few(len(values), planned), measured, float)
    low, high = measured.prediction()
    holds = low <= paper <= high
    reason = f"the paper's {paper:g} is {'' if holds else 'not '}what one more run could give"
    return _shown(Verdict("confirmed" if holds else "not supported", reason), measured, float)


def _too_few(have: int, planned: int) -> Verdict:
    if have == 0:
        return Verdict("not run", f"0 of {planned} seeds in one arm")
    return Verdict(
        "inconclusive",
        f"{have} of {planned} seeds"
        if have < planned
        else "one seed says nothing about the spread",
    )


def _shown(verdict: Verdict, measured: Estimate, scale: Callable[[float], float]) -> Verdict:
    """The verdict with its numbers on the scale that people read."""
    low, high = map(scale, measured.interval())
    first, last = map(scale, measured.prediction())
    return replace(
        verdict, effect=scale(measured.effect), low=low, high=high, prediction=(first, last)
    )


@dataclass(frozen=True)
class EffectTarget:
    """The target of a question's effect, on the scale where effects add, and its wording."""

    paper: float | None  # None: the paper gives a direction alone
    min_effect: float  # the smallest effect of interest
    at_least: bool  # the paper's effect is a lower bound
    scale: Callable[[float], float]  # to the scale that people read
    least: str  # `min_effect` in words
    none: str  # no effect, in words


def _decide(measured: Estimate, n: int, asked: EffectTarget) -> Verdict:
    """The rule at the top of this file."""
    low, high = measured.interval()
    if low > 0:
        return _shown(_size(measured, asked), measured, asked.scale)
    if high < 0:
        return _shown(
            Verdict("reversed", f"the interval lies below {asked.none}"), measured, asked.scale
        )
    near_low, near_high = measured.interval(0.90)
    if -asked.min_effect < near_low and near_high < asked.min_effect:
        verdict = Verdict(
            "not supported", f"any effect is smaller than {asked.least}, the least of interest"
        )
        return _shown(verdict, measured, asked.scale)
    more = max(seeds_needed(measured.sd, asked.min_effect, arms=measured.arms), n + 1)
    reason = (
        f"the interval contains {asked.none}; about {more} "
        f"seeds{' per arm' if measured.arms == 2 else ''} would decide"
    )
    return _shown(Verdict("inconclusive", reason, seeds_needed=more), measured, asked.scale)


def _size(measured: Estimate, asked: EffectTarget) -> Verdict:
    """The verdict on an effect that is there, by its size."""
    above = f"the interval lies above {asked.none}"
    low, high = measured.interval()
    first, last = measured.prediction()
    if high < asked.min_effect:
        magnitude = "smaller"
    elif asked.paper is None:
        return Verdict("confirmed", f"{above}; the paper gives no size")
    elif low <= asked.paper <= high or (asked.at_least and asked.paper <= low):
        magnitude = "as claimed"
    elif first <= asked.paper <= last:
        magnitude = "compatible"
    else:
        magnitude = "smaller" if measured.effect < asked.paper else "larger"
    if asked.paper is None:
        return Verdict(
            "direction only",
            f"{above}, but below {asked.least}, the least of interest",
            magnitude=magnitude,
        )
    share = asked.scale(measured.effect) / asked.scale(asked.paper)
    reason = f"{above}; the size is {magnitude} ({share:.2f} of the paper's)"
    return Verdict(
        "confirmed" if magnitude in ("as claimed", "compatible") else "direction only",
        reason,
        magnitude=magnitude,
    )


def _judge_censored(
    fast: Sequence[float | None], slow: Sequence[float | None], budget: float, censored: int
) -> Verdict:
    """Some runs never arrived.

    Ranks alone decide, and only if the arms do not overlap; the ratio is a bound at most.
    """
    far = 2 * budget
    fast_ranks, slow_ranks = (
        [far if epochs is None else epochs for epochs in arm] for arm in (fast, slow)
    )
    chance = 2 / math.comb(len(fast) + len(slow), len(fast))  # exact two-sided p of no overlap
    fast_logs, slow_logs = (
        [math.log(budget if epochs is None else epochs) for epochs in arm] for arm in (fast, slow)
    )
    bound = math.exp(fmean(slow_logs) - fmean(fast_logs))
    missed = (
        f"{censored} of {len(fast) + len(slow)} runs did not reach the target in {budget:g} epochs"
    )
    if chance < 0.05 and max(fast_ranks) < min(slow_ranks):
        reason = f"{missed}; every run of the fast arm was sooner (p = {chance:.3f})"
        return Verdict(
            "direction only", reason, effect=bound, magnitude="at least", censored=censored
        )
    if chance < 0.05 and max(slow_ranks) < min(fast_ranks):
        reason = f"{missed}; every run of the slow arm was sooner (p = {chance:.3f})"
        return Verdict("reversed", reason, effect=bound, magnitude="at most", censored=censored)
    return Verdict("inconclusive", f"{missed} and the arms overlap in rank", censored=censored)


def seeds_needed(spread: float, effect: float, power: float = 0.8, arms: int = 2) -> int:
    """Seeds per arm, up to 1000, at which a two-sided 5 % test detects `effect` (`detectable`)."""
    return 2 + bisect_left(
        range(2, 1000), True, key=lambda n: detectable(spread, n, power, arms) <= abs(effect)
    )


def detectable(spread: float, n: int, power: float = 0.8, arms: int = 2) -> float:
    """The smallest effect that `n` seeds per arm tell from none with the given power.

    `spread` is the standard deviation of a run, or, where runs are compared with themselves (one
    arm), of their differences.
    """
    df = arms * (n - 1)
    return (t_quantile(0.975, df) + t_quantile(power, df)) * spread * math.sqrt(arms / n)


def judge_exact(measured: float, *, paper: float, tolerance: float, at_most: bool) -> Verdict:
    """Confirmed if a count is within `tolerance` of the paper's number or, `at_most`, no larger."""
    margin = abs(paper) * tolerance
    holds = measured <= paper + margin if at_most else abs(measured - paper) <= margin
    share = f", within {100 * tolerance:g} %" if tolerance else ""
    relation = f"at most {paper:,g}" if at_most else f"{paper:,.12g}{share}"
    return Verdict("confirmed" if holds else "refuted", f"the paper's number is {relation}")


def at_most_earned(
    verdict: Verdict, scale: str, canonical: bool, comparable: bool = True
) -> Verdict:
    """Limit a verdict: `confirmed` needs the claim's own data at its own scale.

    The synthetic images earn none, nor does a printed value (`comparable` False) with another
    network or other images. Elsewhere `confirmed` becomes `consistent`.
    """
    if scale == "smoke":
        return replace(
            verdict, word="none", reason="synthetic images prove that the code runs, nothing else"
        )
    if scale != "paper" and not comparable and verdict.word in ("confirmed", "not supported"):
        return replace(
            verdict,
            word="none",
            reason="the paper's number is of another network and other images; shown, not judged",
        )
    if verdict.word == "confirmed" and (scale != "paper" or not canonical):
        why = (
            f"at scale {scale}"
            if scale != "paper"
            else "on images that are not the publisher's own bytes"
        )
        return replace(
            verdict, word="consistent", reason=f"{verdict.reason}; {why} no claim is confirmed"
        )
    return verdict
