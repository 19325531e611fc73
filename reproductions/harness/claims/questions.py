"""The kinds of question that a claim asks. A new kind is one subclass of `Question`.

A question knows its runs, how their numbers become a verdict, and how it is put into words.
"""

import math
import re
import statistics
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, Self

from reproductions.harness.claims.runs import PlannedRun, shared_run
from reproductions.harness.claims.variant import Arm, Ensemble, Scale, Variant
from reproductions.harness.rule.text import UNITS, count
from reproductions.harness.rule.verdict import (
    Verdict,
    detectable,
    judge_difference,
    judge_exact,
    judge_value,
)

# Standard deviation of a metric in percent over seeds, where an arm has no records yet: that of
# ten-crop top-1 in the first mini records was 0.26 to 0.54 (n = 3 each).
ASSUMED_POINTS = 0.5


class FinishedRun(Protocol):
    """What a question reads of a stored run."""

    @property
    def record(self) -> Any:
        """Its record, with `variant`, `seed`, `status` and `metrics`."""

    def history(self) -> list[dict[str, float]]:
        """Its training curve."""


Runs = Sequence[FinishedRun]


@dataclass(frozen=True, kw_only=True)
class Question(ABC):
    """What all questions have."""

    trained: ClassVar[bool] = True  # False: counted without training
    is_ratio: ClassVar[bool] = False  # its numbers are compared by their ratio
    comparable: ClassVar[bool] = True  # False: only the claim's own data and network can decide
    formula: ClassVar[str] = ""

    name: str
    text: str  # the quantity
    paper: float | None = None  # the paper's number; None: it claims a direction alone
    log_2012: float | None = None  # the number of the 2012 logs, where they have one
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    unit: str = "points"
    figure: str = ""  # of figures.FIGURES
    note: str = ""  # what a reader should know when it is refuted
    sensitivity: bool = False  # asked apart from the verdict

    @property
    def arms(self) -> tuple[Arm, ...]:
        """What it trains or averages, the baseline first."""
        return ()

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics of a record that it reads."""
        return ()

    def at(self, name: str, scale: Scale) -> Self:
        """The question with the networks, seeds and budgets of a scale."""
        return replace(self, seeds=self.seeds[: scale.seeds])

    def runs(self, claim: str, name: str, scale: Scale) -> list[PlannedRun]:
        """The runs that it rests on at a scale, arm by arm."""
        scaled = self.at(name, scale)
        return [
            replace(shared_run(arm, name, seed, scale), metrics=scaled.metrics)
            for arm in scaled.arms
            for seed in scaled.seeds
        ]

    def values(self, run: FinishedRun) -> dict[str, float | None]:
        """Its numbers of one run by name, for tables."""
        return {name: value_of(run, name) for name in dict.fromkeys(self.metrics)}

    @abstractmethod
    def judge(self, arms: Sequence[Runs]) -> Verdict:
        """The verdict on the counted runs, one sequence per arm; of a question at its scale."""

    @abstractmethod
    def rule(self) -> str:
        """What is fixed before the runs, as one sentence; of a question at its scale."""

    def faults(self) -> list[str]:
        """What is wrong with its declaration, a line each."""
        named = re.fullmatch(r"[a-z][a-z0-9_]*", self.name)
        faults = [] if named else [f"the name {self.name!r} is not of a-z, 0-9 and _"]
        faults += [] if self.text else ["it has no text"]
        faults += [] if self.seeds else ["it has no seeds"]
        faults += [] if len(set(self.seeds)) == len(self.seeds) else ["it has a seed twice"]
        numbers = (self.paper, self.log_2012, getattr(self, "min_effect", None))
        wrong = [x for x in numbers if not (x is None or is_finite(x))]
        faults += [f"{x!r} is no finite number" for x in wrong]
        arms: tuple[Any, ...] = self.arms
        wrong = [arm for arm in arms if not isinstance(arm, Variant | Ensemble)]
        return faults + [f"{arm!r} is no variant and no ensemble" for arm in wrong]

    def detects(self, runs: Runs) -> str:
        """The smallest effect seen in four of five attempts, by the spread of one arm's runs."""
        return ""

    @property
    def unit_text(self) -> str:
        """What stands behind its number."""
        return UNITS.get(self.unit, "")

    @property
    def paper_text(self) -> str:
        """The paper's number."""
        return "> 0" if self.paper is None else f"{self.paper:g}{self.unit_text}"

    @property
    def log_text(self) -> str:
        """The number of the 2012 logs."""
        return "–" if self.log_2012 is None else f"{self.log_2012:g}{self.unit_text}"

    def measured_text(self, verdict: Verdict) -> str:
        """The measured number with its 95 % interval."""
        v, unit = verdict, self.unit_text
        if v.effect is None:
            return "–"
        if v.low is not None and v.high is not None:
            return f"{v.effect:.2f}{unit} [{v.low:.2f}, {v.high:.2f}]"
        if v.magnitude:
            return f"{v.magnitude} {v.effect:.2f}{unit} (no interval)"
        return f"{v.effect:.2f}{unit} (one run)"

    def _sizes(self, min_effect: float) -> str:
        """How the rule of an effect begins."""
        size = "the paper gives a direction alone"
        if self.paper is not None:
            size = f"the paper's is {self.paper:g}{self.unit_text}"
        least = f"the smallest effect of interest is {min_effect:g}{self.unit_text}"
        return (
            f"{len(self.seeds)} seeds per arm; {least}{';' if self.paper is None else ','} {size}"
        )


def diverged(arms: Sequence[Runs]) -> Verdict | None:
    """The verdict where runs diverged, which have no error; None where none did."""
    found = [run.record for arm in arms for run in arm if run.record.status == "diverged"]
    if not found:
        return None
    names = ", ".join(f"{record.variant} seed {record.seed}" for record in found)
    runs = f"{len(found)} of {sum(map(len, arms))} runs"
    return Verdict("inconclusive", f"{runs} diverged and have no error: {names}")


def is_finite(value: Any) -> bool:
    """Whether it is a finite number."""
    return isinstance(value, int | float) and math.isfinite(value)


def value_of(run: FinishedRun, metric: str) -> float | None:
    """A metric of a run; None if it has none."""
    found = run.record.metrics.get(metric)
    return None if found is None else found.value


def values_of(runs: Iterable[FinishedRun], metric: str) -> list[float]:
    """A metric of each run that has it; diverged runs have none and leave the arm short."""
    found = (value_of(run, metric) for run in runs)
    return [value for value in found if value is not None]


@dataclass(frozen=True, kw_only=True)
class Difference(Question):
    """A metric of one arm minus that of another, in the metric's unit.

    With one arm and two metrics each run is compared with itself. An average of networks is an arm
    like a variant.
    """

    formula: ClassVar[str] = (
        "mean of the higher arm − mean of the lower arm, Welch's t interval over "
        "seeds (of one arm: run by run)"
    )

    of: Arm
    minus: Arm
    metric: str  # see execute/metrics.py for all of them
    minus_metric: str = ""  # where it is another one than `metric`
    min_effect: float  # the smallest difference of interest
    at_least: bool = False  # the paper says "over"

    @property
    def arms(self) -> tuple[Arm, ...]:
        """The arm that is taken off, then the other."""
        return (self.of,) if self.of == self.minus else (self.minus, self.of)

    @property
    def metrics(self) -> tuple[str, str]:
        """The metric that is taken off, then the other."""
        return self.minus_metric or self.metric, self.metric

    def at(self, name: str, scale: Scale) -> Self:
        """With both arms at the scale."""
        scaled = super().at(name, scale)
        return replace(scaled, of=self.of.at(name, scale), minus=self.minus.at(name, scale))

    def judge(self, arms: Sequence[Runs]) -> Verdict:
        """By the mean of each arm, or run by run; runs that diverged leave it open."""
        if any_diverged := diverged(arms):
            return any_diverged
        if len(arms) == 1:
            arms = [self._whole(arms[0])]
        lower, higher = (
            values_of(arm, name)
            for arm, name in zip((arms[0], arms[-1]), self.metrics, strict=True)
        )
        return judge_difference(
            lower,
            higher,
            paired=len(arms) == 1,
            paper=self.paper,
            min_effect=self.min_effect,
            planned=len(self.seeds),
            unit=self.unit,
            at_least=self.at_least,
        )

    def _whole(self, runs: Runs) -> Runs:
        """The runs with both metrics; one of them may be older than a record."""
        return [run for run in runs if None not in self.values(run).values()]

    def faults(self) -> list[str]:
        """The smallest difference of interest must be above zero and below the paper's."""
        paper = math.inf if self.paper is None else self.paper
        wrong = is_finite(self.min_effect) and not 0 < self.min_effect < paper
        limits = "above 0" if self.paper is None else f"between 0 and the paper's {self.paper}"
        line = f"min_effect {self.min_effect} must be {limits}"
        same = self.of == self.minus and len(set(self.metrics)) == 1
        return super().faults() + [line] * wrong + ["it compares an arm with itself"] * same

    def rule(self) -> str:
        """The sizes, the metrics and the arms."""
        less, metric = self.metrics
        metrics = f"`{metric}`" if less == metric else f"`{metric}` minus `{less}`, run by run"
        arms = " minus ".join(f"`{arm.name}`" for arm in reversed(self.arms))
        return f"{self._sizes(self.min_effect)}; {metrics}, {arms}."

    @property
    def paper_text(self) -> str:
        """With a sign where it is a lower bound."""
        return "> " * self.at_least + super().paper_text

    def detects(self, runs: Runs) -> str:
        """A difference, by the spread of one arm, or of the differences run by run."""
        values, arms = values_of(runs, self.metrics[0]), len(self.arms)
        if arms == 1:
            both = (values_of(self._whole(runs), name) for name in self.metrics)
            values = [more - less for less, more in zip(*both, strict=True)]
        spread = statistics.stdev(values) if len(values) > 1 else ASSUMED_POINTS
        least = detectable(spread, len(self.seeds), arms=arms)
        printed = "" if self.paper is None else f" (paper {self.paper:g})"
        return f"{self.name} ≥ {least:.2f} {self.unit}{printed}"


@dataclass(frozen=True, kw_only=True)
class Value(Question):
    """A metric of a network is the number that the paper prints."""

    comparable: ClassVar[bool] = False
    formula: ClassVar[str] = (
        "mean over seeds with its t interval, against the prediction interval of one more run"
    )

    arm: Arm
    metric: str
    paper: float
    unit: str = "percent"

    @property
    def arms(self) -> tuple[Arm, ...]:
        """The one arm."""
        return (self.arm,)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The one metric."""
        return (self.metric,)

    def at(self, name: str, scale: Scale) -> Self:
        """With the arm at the scale."""
        return replace(super().at(name, scale), arm=self.arm.at(name, scale))

    def judge(self, arms: Sequence[Runs]) -> Verdict:
        """By the spread of the arm; runs that diverged leave it open."""
        if any_diverged := diverged(arms):
            return any_diverged
        values = values_of(arms[0], self.metric)
        return judge_value(values, paper=self.paper, planned=len(self.seeds))

    def rule(self) -> str:
        """The paper's number and the metric."""
        number = f"{self.paper:g}{self.unit_text}"
        return f"{len(self.seeds)} seeds; the paper's number is {number}; `{self.metric}`."


@dataclass(frozen=True, kw_only=True)
class Count(Question):
    """A number that is computed without training, and the paper's.

    Confirmed if it is within `tolerance` of the paper's number, else refuted.
    """

    trained: ClassVar[bool] = False
    formula: ClassVar[str] = "a count"

    paper: float
    measure: Callable[[], float]
    # share of the paper's number; 0 for a number that the paper prints in full
    tolerance: float = 0.0
    at_most: bool = False  # the paper gives an upper bound
    unit: str = ""
    seeds: tuple[int, ...] = (0,)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Counts are stored under the names of their questions."""
        return (self.name,)

    def at(self, name: str, scale: Scale) -> Self:
        """A count is the same at every scale."""
        return self

    def runs(self, claim: str, name: str, scale: Scale) -> list[PlannedRun]:
        """One run counts for all questions of a claim; see `claim.asked_runs`."""
        return [PlannedRun(claim, "", "count", name, 0, "count", None, metrics=self.metrics)]

    def judge(self, arms: Sequence[Runs]) -> Verdict:
        """By the one record."""
        found = [value for run in arms[0] if (value := value_of(run, self.name)) is not None]
        if not found:
            return Verdict("not run", "no records")
        verdict = judge_exact(
            found[0], paper=self.paper, tolerance=self.tolerance, at_most=self.at_most
        )
        return replace(verdict, effect=found[0])

    def rule(self) -> str:
        """The paper's number and its tolerance."""
        bound = "at most " if self.at_most else ""
        return (
            f"the paper's number is {bound}{self.paper:,g}, tolerance {100 * self.tolerance:g} %."
        )

    @property
    def paper_text(self) -> str:
        """In full."""
        return "≤ " * self.at_most + count(self.paper) + self.unit_text

    @property
    def log_text(self) -> str:
        """In full."""
        return "–" if self.log_2012 is None else count(self.log_2012)

    def measured_text(self, verdict: Verdict) -> str:
        """In full."""
        return "–" if verdict.effect is None else count(verdict.effect) + self.unit_text
