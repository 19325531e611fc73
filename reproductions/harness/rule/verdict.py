"""One rule for every claim. Direction and size are judged apart.

The interval is the 95 % interval of the effect (`effect.py`), s the smallest effect of interest and
E the paper's effect; of a ratio r, whose interval is compared with 1, E is its excess r − 1. The
word is the first that fits:

not run             no seed has both arms
too short to tell   the training did not get to where the claim can be answered (`gates.py`)
undecided           fewer than two pairs
no effect           the interval lies within ± s, of a ratio within [1/s, s]
undecided           the interval contains zero, of a ratio one
opposite direction  the interval lies on the other side
same direction      below the paper's own data, network and schedule
confirmed           the interval lies within [E/2, 2E]; above E where the paper says "over E"; above
                    s where it gives no number
different size      the interval lies wholly outside of that
same direction      otherwise

Where the paper says that there is no difference, `no effect` is what it claims, and an interval
wholly outside ± s is a `different size`. A printed value is `confirmed` if the interval lies within
the tolerance declared with it, a `different size` if wholly outside. A number that is counted
`holds` or `does not hold`. Synthetic images earn no word.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from reproductions.harness.rule.effect import Effect
from reproductions.harness.rule.power import seeds_for_width

Word = Literal[
    "confirmed",
    "same direction",
    "different size",
    "opposite direction",
    "no effect",
    "undecided",
    "too short to tell",
    "not run",
    "holds",
    "does not hold",
    "–",
]
SINCE = "2026-11-28"  # the day on which these words and gates were fixed
# Words that say something of the claim; each rests on an interval.
DECIDED = ("confirmed", "same direction", "different size", "opposite direction", "no effect")
# What each word and each mark says, for pages and the glossary.
MEANING: dict[Word, str] = {
    "confirmed": "at scale `paper` the 95 % interval lies within half to twice the paper's effect. "
    'Where the paper says "over x" it lies above x; where it gives no number, above the smallest '
    "effect of interest. Of a printed value it lies within the claim's tolerance",
    "same direction": "the 95 % interval lies on the claimed side. Below scale `paper` nothing is "
    "said of the size; at scale `paper` the interval reaches over the limits of the claimed size",
    "different size": "at scale `paper` the 95 % interval lies wholly outside of what confirms. "
    "Where the paper says that there is no difference: wholly outside ± the smallest effect of "
    "interest",
    "opposite direction": "the 95 % interval lies on the other side of zero (of a ratio: of one)",
    "no effect": "the 95 % interval lies within ± the smallest effect of interest (of a ratio: "
    "between it and its inverse)",
    "undecided": "fewer than two pairs of runs, or an interval that contains zero (of a ratio: "
    "one). Runs that diverged also leave a difference undecided",
    "too short to tell": "the training did not get to where the claim can be answered. A claim on "
    "overfitting needs a network whose test error is ten points above its clean training error. A "
    "claim on the final error needs courses that had ended",
    "not run": "no seed has both arms. Records of an older version of the code or under another "
    "recipe are outdated and do not count",
    "holds": "a number that is counted or computed is as printed",
    "does not hold": "a number that is counted or computed is not as printed",
    "–": "a number without a verdict: network or images are not the paper's, or the paper says "
    "nothing of it",
}
MARKS = {
    "copy": "the right images, but from another place than the publisher's",
    "as claimed": "the paper says itself that there is no effect",
    "rate not settled": "a learning rate is level with another or the outermost tried, and no runs "
    "to the target have decided it",
    "target read by row": "the target was read from single rows, not from the last whole pass; "
    "within a pass the error saws",
    "sensitivity": "asked beside the verdict, under other conditions than the paper's",
    "survives Holm": "the word stays when all words of its scale together may err in one case "
    "of twenty (Holm's adjustment)",
    "rule younger than its first record": "a number of the rule, its metrics, seeds or grid "
    "changed after the first run",
    "rule not dated": "`reproductions/rules.csv` does not have the rule of this question",
}


@dataclass(frozen=True)
class Asked:
    """What a claim says of its effect, in the unit that people read."""

    least: float  # the smallest effect of interest, of a ratio above 1
    paper: float | None = None  # None: it gives a direction alone
    over: bool = False  # it says "over"
    none: bool = False  # it says that there is no difference
    ratio: bool = False
    unit: str = ""

    @property
    def zero(self) -> float:
        """What no effect is."""
        return 1.0 if self.ratio else 0.0

    @property
    def least_range(self) -> tuple[float, float]:
        """Effects that are smaller than of interest."""
        return (1 / self.least if self.ratio else -self.least), self.least

    @property
    def paper_range(self) -> tuple[float, float]:
        """Effects that confirm the paper's, which may give a direction alone."""
        if self.paper is None:
            return self.least, math.inf
        excess = self.paper - self.zero
        if self.over:
            return self.paper, math.inf
        return self.zero + excess / 2, self.zero + 2 * excess

    def read(self, value: float) -> float:
        """An effect as people read it: ratios add as logarithms."""
        if not self.ratio:
            return value
        return math.inf if value == math.inf else math.exp(value)


@dataclass(frozen=True)
class Verdict:
    """The outcome for one question on one set of records; None where there is no such number.

    `effect` is what the question asks for, in its unit: a ratio, a difference, a mean or a count.
    """

    word: Word
    reason: str
    effect: float | None = None
    low: float | None = None  # the 95 % interval; infinite where it is open
    high: float | None = None
    mark: str = ""  # "as claimed", "copy"
    measured: Effect | None = None  # what the interval is made of


def judge(effect: Effect, asked: Asked, scale: str, gate: str = "", level: float = 0.95) -> Verdict:
    """The rule at the top of this file; `gate` is why the training was too short, if it was."""
    if effect.n == 0:
        return Verdict("not run", "no seed has both arms")
    interval = effect.interval(level)
    if scale == "smoke":
        verdict = Verdict("–", "synthetic images show that the code runs, nothing else")
    elif gate:
        verdict = Verdict("too short to tell", gate)
    elif interval is None:
        verdict = Verdict("undecided", _too_few(effect))
    else:
        low, high = map(asked.read, interval)
        verdict = _word(low, high, asked, scale)
        if verdict.word == "same direction" and scale == "paper":
            verdict = replace(verdict, reason=verdict.reason + _seeds_for_size(effect, asked))
    return _shown(verdict, effect, interval, asked.read)


def _word(low: float, high: float, asked: Asked, scale: str) -> Verdict:
    """The word of an effect with an interval."""
    least, most = asked.least_range
    if least <= low and high <= most:
        why = f"any effect is smaller than {_amount(asked.least, asked)}, the smallest of interest"
        return Verdict("no effect", why, mark="as claimed" if asked.none else "")
    if asked.none:
        within = f"± {_amount(asked.least, asked)}, the smallest effect of interest"
        if high < least or low > most:
            return Verdict("different size", f"the interval lies outside of {within}")
        return Verdict("undecided", f"the interval reaches beyond {within}")
    return _direction(low, high, asked, scale)


def _direction(low: float, high: float, asked: Asked, scale: str) -> Verdict:
    """The word of an effect that may be of interest."""
    zero = f"{asked.zero:g}"
    if low <= asked.zero <= high:
        return Verdict("undecided", f"the interval contains {zero}")
    if high < asked.zero:
        return Verdict("opposite direction", f"the interval lies below {zero}")
    if scale != "paper":
        return Verdict("same direction", f"the interval lies above {zero}")
    return _size(low, high, asked)


def _size(low: float, high: float, asked: Asked) -> Verdict:
    """The word of an effect on the claimed side, at the paper's own scale."""
    small, large = asked.paper_range
    wanted = f"above {_amount(small, asked)}"
    if large < math.inf:
        wanted = f"within {small:g} to {_amount(large, asked)}, half to twice the paper's effect"
    if small <= low and high <= large:
        return Verdict("confirmed", f"the interval lies {wanted}")
    if (high < small or low > large) and asked.paper is not None:
        return Verdict("different size", f"the interval does not reach what lies {wanted}")
    return Verdict("same direction", f"the interval does not lie {wanted}")


def _seeds_for_size(effect: Effect, asked: Asked) -> str:
    """How many seeds the size would take, if the effect is where it was measured."""
    read = math.log if asked.ratio else float
    small, large = asked.paper_range
    distance = effect.mean - read(small)
    if large < math.inf:
        distance = min(distance, read(large) - effect.mean)
    if distance <= 0 or effect.whole < effect.n:
        return ""
    return f"; the size takes about {seeds_for_width(effect.sd, distance)} seeds"


def judge_value(
    effect: Effect, paper: float, tolerance: float, scale: str, level: float = 0.95
) -> Verdict:
    """Judge a printed number at the paper's scale; elsewhere it is shown without a word."""
    if effect.n == 0:
        return Verdict("not run", "no records")
    interval = effect.interval(level)
    low, high = paper - tolerance, paper + tolerance
    wanted = f"{low:g} to {high:g}"
    if scale != "paper":
        verdict = Verdict("–", "the paper's number is of another network and other images")
    elif interval is None:
        verdict = Verdict("undecided", _too_few(effect))
    elif low <= interval[0] and interval[1] <= high:
        verdict = Verdict("confirmed", f"the interval lies within {wanted}")
    elif interval[1] < low or interval[0] > high:
        verdict = Verdict("different size", f"the interval lies outside of {wanted}")
    else:
        verdict = Verdict("undecided", f"the interval lies partly outside of {wanted}")
    return _shown(verdict, effect, interval, float)


def judge_exact(measured: float, *, paper: float, tolerance: float, at_most: bool) -> Verdict:
    """`holds` if a count is within `tolerance` of the paper's number or, `at_most`, no larger."""
    margin = abs(paper) * tolerance
    holds = measured <= paper + margin if at_most else abs(measured - paper) <= margin
    share = f", within {100 * tolerance:g} %" if tolerance else ""
    relation = f"at most {paper:,g}" if at_most else f"{paper:,.12g}{share}"
    word: Word = "holds" if holds else "does not hold"
    return Verdict(word, f"the paper's number is {relation}", effect=measured)


def _amount(value: float, asked: Asked) -> str:
    return f"{value:g}{'×' if asked.ratio else ' ' + asked.unit if asked.unit else ''}"


def _too_few(effect: Effect) -> str:
    if effect.n > 1:
        return f"{effect.n - effect.whole} of {effect.n} pairs have a run that missed the target"
    return "one pair says nothing about the spread"


def _shown(
    verdict: Verdict,
    effect: Effect,
    interval: tuple[float, float] | None,
    read: Callable[[float], float],
) -> Verdict:
    """The verdict with its numbers as people read them."""
    low, high = (None, None) if interval is None else map(read, interval)
    return replace(verdict, effect=read(effect.mean), low=low, high=high, measured=effect)
