"""What all kinds of question have, and what is read of their runs.

A question knows its runs, how their numbers become a verdict, and how it is put into words.
"""

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, Self

from reproductions.harness.claims.runs import PlannedRun, shared_run
from reproductions.harness.claims.variant import Arm, Ensemble, Scale, Variant
from reproductions.harness.rule.effect import Answers, Effect
from reproductions.harness.rule.gates import first_drop, not_ended
from reproductions.harness.rule.text import UNITS, interval_text
from reproductions.harness.rule.verdict import DECIDED, Verdict


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


@dataclass(frozen=True, kw_only=True)
class TrainedQuestion(Question):
    """A question that an interval over trained networks decides."""

    @abstractmethod
    def decide(self, effect: Effect, scale: str, gate: str = "", level: float = 0.95) -> Verdict:
        """The verdict on an effect; `gate` is why trainings cannot answer, "" if they can."""


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
