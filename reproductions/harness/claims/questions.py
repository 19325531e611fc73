"""The kinds of question that a claim asks. A new kind is one subclass of `Question`.

A question knows its runs, how their numbers become a verdict, and how it is put into words.
"""

import math
import re
import statistics
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Protocol, Self

from reproductions.harness.claims.runs import PlannedRun, shared_run
from reproductions.harness.claims.variant import Arm, Ensemble, Scale, Variant
from reproductions.harness.rule.effect import Answers, Effect, effect_of, images_variance
from reproductions.harness.rule.gates import first_drop, not_ended, not_overfitted
from reproductions.harness.rule.power import detectable
from reproductions.harness.rule.text import UNITS, count, interval_text
from reproductions.harness.rule.verdict import (
    DECIDED,
    Asked,
    Verdict,
    judge,
    judge_exact,
    judge_value,
)

# Standard deviation of the difference of two arms in percent over seeds, where there are no records
# yet: that of ten-crop top-1 in the first mini records was 0.17 to 1.8 (n = 3 each).
ASSUMED_POINTS = 0.5


class FinishedRun(Protocol):
    """What a question reads of a stored run."""

    @property
    def record(self) -> Any:
        """Its record, with `variant`, `seed`, `status` and `metrics`."""

    def history(self) -> list[dict[str, float]]:
        """Its training curve."""

    def histories(self) -> list[list[dict[str, float]]]:
        """Its training curve, or those of the networks that it averages."""

    def answers(self, metric: str) -> Answers | None:
        """Which images it has right, for an error that it stored per image."""


Runs = Sequence[FinishedRun]


@dataclass(frozen=True, kw_only=True)
class Question(ABC):
    """What all questions have."""

    trained: ClassVar[bool] = True  # False: counted without training
    is_ratio: ClassVar[bool] = False  # its numbers are compared by their ratio
    formula: ClassVar[str] = ""

    name: str
    text: str  # the quantity
    paper: float | None = None  # the paper's number; None: it claims a direction alone
    log_2012: float | None = None  # the number of the 2012 logs, where they have one
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    unit: str = "points"
    figure: str = ""  # of figures.FIGURES
    note: str = ""  # what a reader should know when it does not hold
    sensitivity: bool = False  # asked apart from the verdict
    beside: tuple[str, ...] = ()  # metrics that are shown with it

    @property
    def arms(self) -> tuple[Arm, ...]:
        """What it trains or averages, the baseline first."""
        return ()

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics of a record that it reads."""
        return ()

    @property
    def measured(self) -> tuple[str, ...]:
        """The metrics that its runs are to have: also those that are shown beside it."""
        return tuple(dict.fromkeys((*self.metrics, *self.beside)))

    def at(self, name: str, scale: Scale) -> Self:
        """The question with the networks, seeds and budgets of a scale."""
        return replace(self, seeds=self.seeds[: scale.seeds])

    def runs(self, claim: str, name: str, scale: Scale) -> list[PlannedRun]:
        """The runs that it rests on at a scale, arm by arm."""
        scaled = self.at(name, scale)
        return [
            replace(shared_run(arm, name, seed, scale), metrics=scaled.measured)
            for arm in scaled.arms
            for seed in scaled.seeds
        ]

    def values(self, run: FinishedRun) -> dict[str, float | None]:
        """Its numbers of one run by name, for tables."""
        names = dict.fromkeys((*self.metrics, *self.beside))
        return {name: value_of(run, name) for name in names}

    @abstractmethod
    def judge(self, arms: Sequence[Runs], scale: str) -> Verdict:
        """The verdict on the counted runs, one sequence per arm; of the question at the scale."""

    def decide(self, effect: Effect, scale: str, gate: str = "", level: float = 0.95) -> Verdict:
        """The verdict on an effect; `gate` is why trainings cannot answer, "" if they can."""
        raise NotImplementedError(f"{type(self).__name__} is not judged by an interval")

    @abstractmethod
    def rule(self) -> str:
        """What is fixed before the runs, as one sentence; of a question at its scale."""

    def rule_as_data(self) -> dict[str, Any]:
        """What is fixed before the runs, under names that stay; of a question at its scale."""
        return {"paper": self.paper, "seeds": list(self.seeds), "metrics": list(self.metrics)}

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

    def detects(self, arms: Sequence[Runs]) -> str:
        """The smallest effect seen in four of five attempts, by the spread of the runs so far."""
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
            return f"{v.effect:.2f}{unit} {interval_text(v.low, v.high)}"
        bound = "" if v.measured is None else v.measured.bound
        return f"{bound}{v.effect:.2f}{unit} (no interval)"

    def _sizes(self, min_effect: float) -> str:
        """How the rule of an effect begins."""
        size = "the paper gives a direction alone"
        if self.paper is not None:
            size = f"the paper's is {self.paper:g}{self.unit_text}"
        least = f"the smallest effect of interest is {min_effect:g}{self.unit_text}"
        return (
            f"{len(self.seeds)} seeds per arm; {least}{';' if self.paper is None else ','} {size}"
        )


def by_seed(arms: Sequence[Runs]) -> list[tuple[FinishedRun, ...]]:
    """The runs of each seed that all arms have, in the order of the arms."""
    found = [{run.record.seed: run for run in arm} for arm in arms]
    seeds = sorted(set.intersection(*map(set, found)))
    return [tuple(runs[seed] for runs in found) for seed in seeds]


def diverged(arms: Sequence[Runs]) -> str:
    """Which runs diverged and have no error; "" where none did."""
    found = [run.record for arm in arms for run in arm if run.record.status == "diverged"]
    if not found:
        return ""
    names = ", ".join(f"{record.variant} seed {record.seed}" for record in found)
    return f"{len(found)} of {sum(map(len, arms))} runs diverged and have no error: {names}"


def without_diverged(verdict: Verdict, arms: Sequence[Runs]) -> Verdict:
    """The verdict with the runs that diverged named; no word on the claim is given beside them."""
    if not (lost := diverged(arms)):
        return verdict
    if verdict.word in DECIDED:
        return replace(verdict, word="undecided", reason=lost)
    return replace(verdict, reason=f"{verdict.reason}; {lost}")


def course_not_ended(arms: Sequence[Runs], scale: str) -> str:
    """Why the course of one of the arms had not ended; "" if all had."""
    for arm in arms:
        histories = [rows for run in arm for rows in run.histories()]
        ends = [[row for row in rows if "validation_error" in row] for rows in histories]
        courses = [[row["validation_error"] for row in rows] for rows in ends]
        drops = [first_drop([row["learning_rate"] for row in rows]) for rows in ends]
        if why := not_ended(courses, drops, scale):
            return f"{arm[0].record.variant}: {why}" if arm else why
    return ""


def is_finite(value: Any) -> bool:
    """Whether it is a finite number."""
    return isinstance(value, int | float) and math.isfinite(value)


def value_of(run: FinishedRun, metric: str) -> float | None:
    """A metric of a run; None if it has none."""
    found = run.record.metrics.get(metric)
    return None if found is None else found.value


@dataclass(frozen=True, kw_only=True)
class Difference(Question):
    """A metric of one arm minus that of another, in the metric's unit.

    With one arm and two metrics each run is compared with itself. An average of networks is an arm
    like a variant.
    """

    formula: ClassVar[str] = (
        "mean over seeds of (first arm − second arm); interval ± √(t² V_seeds + 1.96² V_images)"
    )

    of: Arm
    minus: Arm
    metric: str  # of claims/metrics.py, or the claim's own
    minus_metric: str = ""  # where it is another one than `metric`
    min_effect: float  # the smallest difference of interest
    at_least: bool = False  # the paper says "over"
    no_difference: bool = False  # the paper says that there is none
    # when trainings can answer it: their course "ended", or the arm `of` "overfits"; "": always
    gate: Literal["ended", "overfits", ""] = "ended"

    @property
    def arms(self) -> tuple[Arm, ...]:
        """The arm that is taken off, then the other."""
        return (self.of,) if self.of == self.minus else (self.minus, self.of)

    @property
    def metrics(self) -> tuple[str, str]:
        """The metric that is taken off, then the other."""
        return self.minus_metric or self.metric, self.metric

    @property
    def measured(self) -> tuple[str, ...]:
        """Of a claim on overfitting also the errors that a gap is made of."""
        errors = ("gap", "top1", "top1_train") if self.gate == "overfits" else ()
        return tuple(dict.fromkeys((*super().measured, *errors)))

    def at(self, name: str, scale: Scale) -> Self:
        """With both arms at the scale."""
        scaled = super().at(name, scale)
        return replace(scaled, of=self.of.at(name, scale), minus=self.minus.at(name, scale))

    @property
    def asked(self) -> Asked:
        """What the paper says of the difference."""
        return Asked(
            least=self.min_effect,
            paper=self.paper,
            over=self.at_least,
            none=self.no_difference,
            unit=self.unit,
        )

    def judge(self, arms: Sequence[Runs], scale: str) -> Verdict:
        """By the differences per seed; runs that diverged leave it undecided."""
        verdict = self.decide(self._effect(arms), scale, self._gate_failure(arms, scale))
        verdict = without_diverged(verdict, arms)
        return replace(verdict, reason=verdict.reason + self._better_without(arms))

    def _better_without(self, arms: Sequence[Runs]) -> str:
        """Of a claim on overfitting: that the arm that should overfit is the better one."""
        pairs = [[value_of(run, "top1") for run in (runs[0], runs[-1])] for runs in by_seed(arms)]
        gains = [minus - of for minus, of in pairs if minus is not None and of is not None]
        if self.gate != "overfits" or not gains or (gain := statistics.fmean(gains)) <= 0:
            return ""
        return f"; on the test images {self.of.name} is better by {gain:.1f} points"

    def decide(self, effect: Effect, scale: str, gate: str = "", level: float = 0.95) -> Verdict:
        """By the rule of effects."""
        return judge(effect, self.asked, scale, gate, level)

    def rule_as_data(self) -> dict[str, Any]:
        """With the smallest effect of interest, what the paper says of it, and another gate."""
        sizes = {"least": self.min_effect, "over": self.at_least, "none": self.no_difference}
        gate = {} if self.gate == "ended" else {"gate": self.gate}
        return super().rule_as_data() | sizes | gate

    def _effect(self, arms: Sequence[Runs]) -> Effect:
        pairs = [(runs[0], runs[-1]) for runs in by_seed(arms)]
        return effect_of(self._differences(pairs), self._images(pairs))

    def _differences(self, pairs: Iterable[tuple[FinishedRun, FinishedRun]]) -> list[float]:
        """The metric of each pair minus the other; NaN where one has none."""
        less, metric = self.metrics
        both = [(value_of(of, metric), value_of(minus, less)) for minus, of in pairs]
        return [math.nan if None in (x, y) else x - y for x, y in both]  # type: ignore[operator]

    def _images(self, pairs: Sequence[tuple[FinishedRun, FinishedRun]]) -> float | None:
        """What the test images add; None where a run did not store its answers per image."""
        less, metric = self.metrics
        found = [(of.answers(metric), minus.answers(less)) for minus, of in pairs]
        known = [(one, other) for one, other in found if one and other]
        return images_variance(known) if known and len(known) == len(found) else None

    def _gate_failure(self, arms: Sequence[Runs], scale: str) -> str:
        """Why the trainings cannot answer the question."""
        if self.gate == "ended":
            return course_not_ended(arms, scale)
        if self.gate == "overfits":
            return not_overfitted([value_of(run, "gap") for run in arms[-1]])
        return ""

    def faults(self) -> list[str]:
        """The smallest difference of interest must be above zero and at most half the paper's."""
        most = math.inf if self.paper is None or self.no_difference else self.asked.paper_range[0]
        wrong = is_finite(self.min_effect) and not 0 < self.min_effect <= most
        limits = "above 0" if most == math.inf else f"above 0 and at most {most:g}"
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

    def detects(self, arms: Sequence[Runs]) -> str:
        """A difference, by the spread of the pairs so far."""
        differences = self._differences((runs[0], runs[-1]) for runs in by_seed(arms))
        found = [value for value in differences if math.isfinite(value)]
        spread = statistics.stdev(found) if len(found) > 1 else ASSUMED_POINTS
        printed = "" if self.paper is None else f" (paper {self.paper:g})"
        least = detectable(spread, len(self.seeds))
        return f"{self.name} ≥ {least:.2f} {self.unit}{printed}"


@dataclass(frozen=True, kw_only=True)
class Value(Question):
    """A metric of a network is the number that the paper prints."""

    formula: ClassVar[str] = "mean over seeds; interval ± √(t² V_seeds + 1.96² V_images)"

    arm: Arm
    metric: str
    paper: float
    # how far from the printed number it may be: the sampling error and the spread of one run
    tolerance: float = 1.0
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

    def judge(self, arms: Sequence[Runs], scale: str) -> Verdict:
        """By the spread of the arm; runs that diverged leave it undecided."""
        values = [value_of(run, self.metric) for run in arms[0]]
        answers = [run.answers(self.metric) for run in arms[0]]
        known = [(found, None) for found in answers if found]
        images = images_variance(known) if known and len(known) == len(answers) else None
        effect = effect_of([math.nan if value is None else value for value in values], images)
        verdict = self.decide(effect, scale)
        return without_diverged(verdict, arms)

    def decide(self, effect: Effect, scale: str, gate: str = "", level: float = 0.95) -> Verdict:
        """By the rule of printed values."""
        return judge_value(effect, self.paper, self.tolerance, scale, level)

    def rule_as_data(self) -> dict[str, Any]:
        """With the tolerance."""
        return super().rule_as_data() | {"tolerance": self.tolerance}

    def rule(self) -> str:
        """The paper's number and the metric."""
        number = f"{self.paper:g}{self.unit_text}"
        return (
            f"{len(self.seeds)} seeds; the paper's number is {number}, tolerance "
            f"{self.tolerance:g}; `{self.metric}`."
        )


@dataclass(frozen=True, kw_only=True)
class Count(Question):
    """A number that is computed without training, and the paper's.

    The statement holds if it is within `tolerance` of the paper's number.
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

    def judge(self, arms: Sequence[Runs], scale: str) -> Verdict:
        """By the one record."""
        found = [value for run in arms[0] if (value := value_of(run, self.name)) is not None]
        if not found:
            return Verdict("not run", "no records")
        return judge_exact(
            found[0], paper=self.paper, tolerance=self.tolerance, at_most=self.at_most
        )

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
