"""From records to judged rows: which records belong together, and what the rule says of them. Pure; imports no torch."""

import math
import statistics
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from reproductions.harness.claim import (
    SHARED,
    Claim,
    Exact,
    PlannedRun,
    Question,
    SpeedUp,
    Trained,
    Value,
    at_scale,
    planned_runs,
    question_runs,
)
from reproductions.harness.plan import Key, differences
from reproductions.harness.record import Record, Stored
from reproductions.harness.verdict import Verdict, Word, at_most_earned, judge_difference, judge_exact, judge_speedup, judge_value


@dataclass(frozen=True)
class Judged:
    """One row of the verdict table: one question, answered by one cohort of records.

    A cohort shares data, code, hardware class and precision. Nothing is ever pooled across cohorts.
    """

    claim: Claim
    question: Question
    scale: str
    verdict: Verdict
    planned: int
    n: int  # seeds per arm that count
    data: str
    hardware: str
    members: tuple[Stored, ...] = ()  # the records that count, by arm and seed
    sweep: tuple[Stored, ...] = ()
    extra: tuple[Stored, ...] = field(default=())  # repeats and seeds outside the plan: shown, not counted

    @property
    def cell(self) -> str:
        """The row's name: claim and question."""
        return f"{self.claim.name}.{self.question.name}"

    @property
    def sensitivity(self) -> bool:
        """Whether the question is asked apart from the verdict."""
        return isinstance(self.question, SpeedUp) and self.question.sensitivity

    @property
    def measured(self) -> float | None:
        """The count of an exact question."""
        if isinstance(self.question, Exact) and self.members:
            return self.members[0].record.metrics[self.question.name].value
        return None

    @property
    def target(self) -> float | None:
        """The training error of a speed-up at this row's scale, percent."""
        return (self.claim.scales[self.scale].target or self.question.target) if isinstance(self.question, SpeedUp) else None

    def arm(self, variant: str) -> list[Stored]:
        """The counted records of one variant, by seed."""
        return [item for item in self.members if item.record.variant == variant]


def judge(claim: Claim, stored: Sequence[Stored]) -> list[Judged]:
    """All rows of a claim: every cohort at every scale, or one `not run` row where there is none."""
    rows = []
    there = {item.record.scale for item in stored}
    planned = {scale: {run.key: run for run in planned_runs(claim, scale)} for scale in claim.scales if scale in there}
    for question in claim.questions:
        found = []
        for scale, runs in planned.items():
            asked = set() if isinstance(question, Exact) else {run.key for run in question_runs(claim, question, scale)}
            mine = [item for item in stored if item.record.scale == scale and _concerns(claim, question, asked, item)]
            found += [_judge_cohort(claim, question, scale, items, runs) for items in _cohorts(mine)]
        rows += found or [_not_run(claim, question)]
    return rows


def epochs_of(items: Sequence[Stored], target: float | None = None) -> list[float | None]:
    """Epochs to the target of each record, None where it was not reached: its metric, or read off its history."""
    found = []
    for item in items:
        metric = item.record.metrics.get("epochs_to_target")
        if metric is not None:
            found.append(metric.value if item.record.status == "ok" else None)
        else:
            assert target is not None
            curve = [(row["epoch"], row["train_error"]) for row in item.history()]
            found.append(epochs_to(curve, target) if item.record.status == "ok" else None)
    return found


def epochs_to(curve: Sequence[tuple[float, float]], target: float) -> float | None:
    """Where a curve of (epoch, error) first falls to `target`, linearly interpolated from the row before; None if it never does.

    The first row has none before it: reaching the target there counts as the epoch of that row.
    """
    for index, (epoch, error) in enumerate(curve):
        if error <= target:
            if index == 0:
                return epoch
            before, above = curve[index - 1]
            return before + (above - target) / (above - error) * (epoch - before)
    return None


def _concerns(claim: Claim, question: Question, asked: Collection[Key], item: Stored) -> bool:
    """Whether a record is about a question. Of networks that other claims have in more seeds, only those that it asks for are."""
    record = item.record
    if isinstance(question, Exact):
        return record.claim == claim.name and record.role == "inspect" and question.name in record.metrics
    if record.role in SHARED:
        mine = record.key in asked
    else:
        variants = {variant.name for variant in question.variants}
        mine = record.claim == claim.name and (record.question == question.name or record.variant in variants)
    return mine and record.status != "failed"


def _cohorts(items: Sequence[Stored]) -> Iterator[list[Stored]]:
    """Records that are judged together: of one cohort, and none made from networks of another copy of other data."""
    cohorts: dict[tuple[str, ...], list[Stored]] = {}
    for item in items:
        cohorts.setdefault(item.record.cohort, []).append(item)
    for _, mine in sorted(cohorts.items()):
        for origins in sorted({item.record.origins for item in mine} - {()}) or [()]:
            yield [item for item in mine if item.record.origins in ((), origins)]


def _judge_cohort(claim: Claim, question: Question, scale: str, items: Sequence[Stored], runs: dict[Key, PlannedRun]) -> Judged:
    counted, stale, extra = _sort(items, runs)
    members = tuple(item for item in counted if item.record.role != "tune")
    if isinstance(question, Exact):
        planned, n, verdict = 1, len(members), _judge_exact(question, members)
    else:
        brief = at_scale(claim, question, scale)
        planned = len(brief.seeds)
        arms = [[item for item in members if item.record.variant == variant.name] for variant in brief.variants]
        n = min(len(arm) for arm in arms)
        verdict = _judge_trained(brief, arms)
    outdated = [(item, why) for item, why in stale if item.record.role != "tune"]
    if n < planned and outdated:
        verdict = _judge_outdated(outdated)
    first = min(items, key=lambda item: item.record.id).record
    canonical = first.data is None or first.data.canonical
    return Judged(
        claim,
        question,
        scale,
        at_most_earned(verdict, scale, canonical, comparable=not isinstance(question, Value)),
        planned,
        n,
        _data_words(first),
        "any" if first.role == "inspect" else " ".join(f"{first.machine.hardware}, {first.machine.precision}".split()),
        members,
        tuple(item for item in counted if item.record.role == "tune"),
        tuple(extra + [item for item, _ in stale]),
    )


def _sort(
    items: Sequence[Stored], runs: dict[Key, PlannedRun]
) -> tuple[list[Stored], list[tuple[Stored, list[str]]], list[Stored]]:
    """Records that count (the first whole one of each planned run), outdated ones with the reason, and all others."""
    counted: list[Stored] = []
    stale: list[tuple[Stored, list[str]]] = []
    extra: list[Stored] = []
    seen = set()
    for item in sorted(items, key=lambda i: (i.record.role, i.record.variant, i.record.seed, i.repeat, i.folder.name)):
        run = runs.get(item.record.key)
        if run is None or item.record.key in seen:
            extra.append(item)
        elif why := differences(item.record, run, {}):
            stale.append((item, why))
        else:
            seen.add(item.record.key)
            counted.append(item)
    return counted, stale, extra


def _judge_outdated(outdated: Sequence[tuple[Stored, list[str]]]) -> Verdict:
    why = outdated[0][1]
    word: Word = "exploratory" if all("declaration" in reason for reason in why) else "stale"
    return Verdict(word, f"{len(outdated)} records: {'; '.join(why)}")


def _data_words(record: Record) -> str:
    if record.data is None:
        return "none"
    if record.scale == "smoke":
        return "stand-in"
    return f"{record.data.name}, {'canonical' if record.data.canonical else 'other copy'} {record.data.fingerprint[:6]}"


def _judge_exact(question: Exact, counted: Sequence[Stored]) -> Verdict:
    value = counted[0].record.metrics[question.name].value if counted else None
    if value is None:
        return Verdict("not run", "no records")
    return judge_exact(value, paper=question.paper, tolerance=question.tolerance, at_most=question.at_most)


def _judge_trained(question: Trained, arms: Sequence[Sequence[Stored]]) -> Verdict:
    planned = len(question.seeds)
    diverged = [item for arm in arms for item in arm if item.record.status == "diverged"]
    if diverged and not isinstance(question, SpeedUp):
        names = ", ".join(f"{item.record.variant} seed {item.record.seed}" for item in diverged)
        return Verdict("inconclusive", f"{len(diverged)} of {sum(map(len, arms))} runs diverged and have no error: {names}")
    if isinstance(question, SpeedUp):
        fast, slow = (epochs_of(arm, question.target) for arm in arms)
        return judge_speedup(
            fast, slow, budget=question.fast.recipe.epochs, paper=question.paper, worthwhile=question.worthwhile, planned=planned
        )
    if isinstance(question, Value):
        return judge_value(values_of(arms[0], question.metric), paper=question.paper, planned=planned)
    lower, higher = (values_of(arm, name) for arm, name in zip((arms[0], arms[-1]), question.metrics, strict=True))
    return judge_difference(
        lower,
        higher,
        paired=len(arms) == 1,
        paper=question.paper,
        worthwhile=question.worthwhile,
        planned=planned,
        unit=question.unit,
        at_least=question.at_least,
    )


def values_of(items: Sequence[Stored], metric: str) -> list[float]:
    """A metric of each record that has it; a run that diverged has none and leaves its arm short."""
    found = (item.record.metrics.get(metric) for item in items)
    return [m.value for m in found if m is not None and m.value is not None]


def _not_run(claim: Claim, question: Question) -> Judged:
    scale = next(iter(claim.scales))
    planned = 1 if isinstance(question, Exact) else len(at_scale(claim, question, scale).seeds)
    return Judged(claim, question, scale, Verdict("not run", "no records"), planned, 0, "–", "–")


@dataclass(frozen=True)
class Tuned:
    """What one tuning run says of its rate: epochs to the target, None if it was not reached, and the last training error."""

    epochs: float | None
    error: float  # percent; infinite if the run diverged


def sweep_table(row: Judged) -> dict[str, dict[float, list[Tuned]]]:
    """The tuning runs of a speed-up by arm and rate."""
    question = row.question
    assert isinstance(question, SpeedUp)
    assert question.sweep is not None
    table: dict[str, dict[float, list[Tuned]]] = {variant.name: {} for variant in question.variants}
    for item in row.sweep:
        arm, _, _ = item.record.variant.rpartition("-rate")
        error = item.record.metrics["train_error"].value if item.record.status != "diverged" else None
        tuned = Tuned(epochs_of([item])[0], math.inf if error is None else error)
        table[arm].setdefault(item.record.recipe["learning_rate"], []).append(tuned)
    return {arm: dict(sorted(rates.items())) for arm, rates in table.items()}


def best_rate(rates: dict[float, list[Tuned]]) -> float | None:
    """The rate with the fewest mean epochs to the target; where none got there, the one with the lowest training error."""

    def merit(rate: float) -> tuple[float, float]:
        runs = rates[rate]
        epochs = [math.inf if run.epochs is None else run.epochs for run in runs]
        return statistics.fmean(epochs), statistics.fmean(run.error for run in runs)

    return min(rates, key=merit) if rates else None
