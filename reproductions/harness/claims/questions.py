"""The kinds of question that a claim asks. A new kind is one subclass of `Question`."""

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

from reproductions.harness.claims.question import (
    FinishedRun,
    Question,
    Runs,
    TrainedQuestion,
    by_seed,
    course_not_ended,
    is_finite,
    value_of,
    without_diverged,
)
from reproductions.harness.claims.runs import PlannedRun
from reproductions.harness.claims.variant import Arm, Scale
from reproductions.harness.rule.effect import Effect, effect_of, images_variance
from reproductions.harness.rule.gates import not_overfitted
from reproductions.harness.rule.power import detectable
from reproductions.harness.rule.text import count
from reproductions.harness.rule.verdict import Asked, Verdict, judge, judge_exact, judge_value

# Standard deviation of the difference of two arms in percent over seeds, where there are no records
# yet: that of ten-crop top-1 in the first mini records was 0.17 to 1.8 (n = 3 each).
ASSUMED_POINTS = 0.5


@dataclass(frozen=True, kw_only=True)
class Difference(TrainedQuestion):
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
class Value(TrainedQuestion):
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
