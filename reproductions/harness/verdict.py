"""One rule for every claim, fixed before the runs: direction and magnitude are judged apart. Imports neither torch nor pandas.

For a speed-up the effect of a claim is δ = mean log(epochs of the slow arm) − mean log(epochs of the fast arm), with Welch's
t interval over seeds: a run with its own seed is the only unit of replication, and the arms may differ in spread.

direction   supported       the 95 % interval of δ lies above 0
            reversed        it lies below 0
            not supported   the 90 % interval lies within ±log(smallest ratio worth having): two one-sided tests (TOST)
            inconclusive    otherwise
magnitude   as claimed      the paper's log ratio lies in the 95 % interval
            compatible      not there, but in the 95 % prediction interval of one more run per arm: the paper's single run of
                            each could have drawn it
            smaller, larger otherwise; smaller too where the whole interval is below what is worth having

`confirmed` is supported with a magnitude as claimed or compatible; `direction only` is supported with another.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import stats

Word = Literal[
    "confirmed",
    "consistent",
    "direction only",
    "not supported",
    "reversed",
    "inconclusive",
    "refuted",
    "stale",
    "exploratory",
    "not run",
    "none",
]


@dataclass(frozen=True)
class Verdict:
    """The outcome for one question on one set of records. Ratios are slow over fast; None where there is no such number."""

    word: Word
    reason: str
    ratio: float | None = None
    low: float | None = None  # 95 % confidence interval of the ratio
    high: float | None = None
    prediction: tuple[float, float] | None = None  # 95 % interval for the ratio of one more run per arm
    magnitude: str | None = None
    censored: int = 0  # runs that never reached the target
    seeds_needed: int | None = None  # per arm, to see the smallest ratio worth having in four of five attempts


def judge_speedup(
    fast: Sequence[float | None], slow: Sequence[float | None], *, budget: float, paper: float, worthwhile: float, planned: int
) -> Verdict:
    """Judge one speed-up from the epochs to the target of each seed; None is a run that did not get there within `budget`.

    `paper` and `worthwhile` are ratios; `planned` is the number of seeds per arm fixed beforehand. Raises ValueError for epochs
    that are not positive finite numbers.
    """
    for epochs in (*fast, *slow):
        if epochs is not None and not (math.isfinite(epochs) and epochs > 0):
            raise ValueError(f"epochs to the target must be positive, not {epochs}")
    have = min(len(fast), len(slow))
    censored = sum(epochs is None for epochs in (*fast, *slow))
    if not fast and not slow:
        return Verdict("not run", "no records")
    if have < planned or have < 2:
        verdict = _measure(fast, slow, budget) if have > 1 and not censored else Verdict("inconclusive", "")
        reason = f"{have} of {planned} seeds" if have < planned else "one seed says nothing about the spread"
        return replace(verdict, word="inconclusive", reason=reason, censored=censored, magnitude=None)
    if censored:
        return _judge_censored(fast, slow, budget, censored)
    return _judge_complete(_measure(fast, slow, budget), fast, slow, paper, worthwhile)


def _logs(fast: Sequence[float | None], slow: Sequence[float | None], budget: float) -> tuple[np.ndarray, np.ndarray]:
    # math.log and not numpy's, whose last bit depends on the processor
    fast_logs, slow_logs = (np.array([math.log(budget if epochs is None else epochs) for epochs in arm]) for arm in (fast, slow))
    return fast_logs, slow_logs


def welch(fast: np.ndarray, slow: np.ndarray) -> tuple[float, float, float]:
    """Difference of means (slow − fast), its standard error, and Welch's degrees of freedom."""
    parts = [arm.var(ddof=1) / len(arm) for arm in (fast, slow)]
    total = sum(parts)
    df = total**2 / sum(p**2 / (len(arm) - 1) for p, arm in zip(parts, (fast, slow), strict=True)) if total > 0 else math.inf
    return float(slow.mean() - fast.mean()), math.sqrt(total), float(df)


def _measure(fast: Sequence[float | None], slow: Sequence[float | None], budget: float) -> Verdict:
    fast_logs, slow_logs = _logs(fast, slow, budget)
    effect, error, df = welch(fast_logs, slow_logs)
    t = float(stats.t.ppf(0.975, df))
    spread = math.sqrt(sum(arm.var(ddof=1) * (1 + 1 / len(arm)) for arm in (fast_logs, slow_logs)))
    ratio, low, high = (math.exp(effect + k * t * error) for k in (0, -1, 1))
    return Verdict("inconclusive", "", ratio, low, high, (math.exp(effect - t * spread), math.exp(effect + t * spread)))


def _judge_complete(
    measured: Verdict, fast: Sequence[float | None], slow: Sequence[float | None], paper: float, worthwhile: float
) -> Verdict:
    ratio, low, high, prediction = measured.ratio, measured.low, measured.high, measured.prediction
    assert ratio is not None
    assert low is not None
    assert high is not None
    assert prediction is not None
    if low > 1:
        if high < worthwhile:
            magnitude = "smaller"
        elif low <= paper <= high:
            magnitude = "as claimed"
        elif prediction[0] <= paper <= prediction[1]:
            magnitude = "compatible"
        else:
            magnitude = "smaller" if ratio < paper else "larger"
        word: Word = "confirmed" if magnitude in ("as claimed", "compatible") else "direction only"
        reason = f"the interval lies above 1; the size is {magnitude} ({ratio / paper:.2f} of the paper's)"
        return replace(measured, word=word, magnitude=magnitude, reason=reason)
    if high < 1:
        return replace(measured, word="reversed", reason="the interval lies below 1")
    fast_logs, slow_logs = _logs(fast, slow, 1.0)
    effect, error, df = welch(fast_logs, slow_logs)
    if abs(effect) + float(stats.t.ppf(0.95, df)) * error < math.log(worthwhile):
        return replace(measured, word="not supported", reason=f"any effect is smaller than {worthwhile:g}×, the least worth having")
    spread = math.sqrt((fast_logs.var(ddof=1) + slow_logs.var(ddof=1)) / 2)
    needed = max(seeds_needed(spread, math.log(worthwhile)), min(len(fast), len(slow)) + 1)
    return replace(measured, reason=f"the interval contains 1; about {needed} seeds per arm would decide", seeds_needed=needed)


def _judge_censored(fast: Sequence[float | None], slow: Sequence[float | None], budget: float, censored: int) -> Verdict:
    """Some runs never arrived. Ranks alone decide, and only if the arms do not overlap; the ratio is a bound at most."""
    far = 2 * budget
    fast_ranks, slow_ranks = ([far if epochs is None else epochs for epochs in arm] for arm in (fast, slow))
    chance = 2 / math.comb(len(fast) + len(slow), len(fast))  # exact two-sided p of no overlap
    fast_logs, slow_logs = _logs(fast, slow, budget)
    bound = math.exp(slow_logs.mean() - fast_logs.mean())
    missed = f"{censored} of {len(fast) + len(slow)} runs did not reach the target in {budget:g} epochs"
    if chance < 0.05 and max(fast_ranks) < min(slow_ranks):
        reason = f"{missed}; every run of the fast arm was sooner (p = {chance:.3f})"
        return Verdict("direction only", reason, ratio=bound, magnitude="at least", censored=censored)
    if chance < 0.05 and max(slow_ranks) < min(fast_ranks):
        reason = f"{missed}; every run of the slow arm was sooner (p = {chance:.3f})"
        return Verdict("reversed", reason, ratio=bound, magnitude="at most", censored=censored)
    return Verdict("inconclusive", f"{missed} and the arms overlap in rank", censored=censored)


def seeds_needed(spread: float, effect: float, power: float = 0.8) -> int:
    """Seeds per arm at which a two-sided 5 % test sees `effect` with the given power, for a standard deviation per arm."""
    for n in range(2, 1000):
        df = 2 * n - 2
        if (stats.t.ppf(0.975, df) + stats.t.ppf(power, df)) * spread * math.sqrt(2 / n) <= abs(effect):
            return n
    return 1000


def detectable(spread: float, n: int, power: float = 0.8) -> float:
    """The smallest ratio that `n` seeds per arm tell from 1 with the given power, for a standard deviation of the logs."""
    df = 2 * n - 2
    return math.exp((stats.t.ppf(0.975, df) + stats.t.ppf(power, df)) * spread * math.sqrt(2 / n))


def judge_exact(measured: float, *, paper: float, tolerance: float, at_most: bool) -> Verdict:
    """Confirmed if a count is the paper's number within `tolerance` (a share of it), or at most it; else refuted."""
    margin = abs(paper) * tolerance
    holds = measured <= paper + margin if at_most else abs(measured - paper) <= margin
    share = f", within {100 * tolerance:g} %" if tolerance else ""
    relation = f"at most {paper:,g}" if at_most else f"{paper:,.12g}{share}"
    return Verdict("confirmed" if holds else "refuted", f"the paper's number is {relation}")


def at_most_earned(verdict: Verdict, scale: str, canonical: bool) -> Verdict:
    """Hold a verdict to what its scale and data can earn: `confirmed` only with the claim's own data at its own scale.

    The stand-in images earn none. Elsewhere `confirmed` becomes `consistent`.
    """
    if scale == "smoke":
        return replace(verdict, word="none", reason="stand-in images prove that the code runs, nothing else")
    if verdict.word == "confirmed" and (scale != "paper" or not canonical):
        why = f"at scale {scale}" if scale != "paper" else "on images that are not the publisher's own bytes"
        return replace(verdict, word="consistent", reason=f"{verdict.reason}; {why} no claim is confirmed")
    return verdict
