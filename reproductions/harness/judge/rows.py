"""From records to judged rows: which records belong together, and what the rule says of them.

Pure; imports no torch.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from reproductions.harness.claims.claim import Claim, planned_runs, question_runs, seed_blocks
from reproductions.harness.claims.question import Question
from reproductions.harness.claims.runs import Key, PlannedRun
from reproductions.harness.judge import rule_dates
from reproductions.harness.plan.counted import (
    Kind,
    block_kind,
    differences,
    earliest_first,
    first_on,
    why_not,
)
from reproductions.harness.records.schema import Record, metric_versions
from reproductions.harness.records.store import Stored
from reproductions.harness.rule.verdict import DECIDED, Verdict


@dataclass(frozen=True)
class VerdictRow:
    """A row of the verdict table: one question, records of one data set and one code version.

    Both arms of a seed are of one kind of machine and one precision; seeds of several kinds stand
    in one row, which names them.
    """

    claim: Claim
    question: Question
    scale: str
    verdict: Verdict
    planned: int
    n: int  # seeds per arm that count
    data: str
    # the seeds that count by the kind of machine and precision of their records
    kinds: Mapping[Kind, tuple[int, ...]]
    members: tuple[Stored, ...] = ()  # the records that count, by arm and seed
    sweep: tuple[Stored, ...] = ()
    # repeats and seeds outside the plan: shown, not counted
    extra: tuple[Stored, ...] = field(default=())
    unsettled: bool = False  # whether the sweep leaves open which learning rate is the best
    survives: bool = False  # whether the word survives Holm's adjustment within its scale
    rule_since: str | None = None  # the day on which the question's rule was fixed, if it is dated

    @property
    def cell(self) -> str:
        """The row's name: claim and question."""
        return f"{self.claim.name}.{self.question.name}"

    @property
    def hardware(self) -> str:
        """Kinds of machine in words, with their seeds if several; of all shown if none counts."""
        if not self.kinds:
            shown = sorted({_in_words(item.record.made_on) for item in (*self.sweep, *self.extra)})
            return f"none counted: {'; '.join(shown)}" if shown else "–"
        if len(self.kinds) == 1:
            return _in_words(*self.kinds)
        return "; ".join(
            f"{_in_words(kind)}: seeds {', '.join(map(str, seeds))}"
            for kind, seeds in self.kinds.items()
        )

    @property
    def kinds_as_data(self) -> list[dict[str, object]]:
        """The kinds of machine with the seeds that each gave, and its effect, for JSON."""
        return [
            {"hardware": kind[0], "precision": kind[1], "seeds": list(seeds)}
            | ({} if len(self.kinds) == 1 else {"effect": self.effect_on(kind)})
            for kind, seeds in self.kinds.items()
        ]

    def effect_on(self, kind: Kind) -> float | None:
        """The effect by the pairs of one kind of machine; None with fewer than two pairs."""
        mine = [item for item in self.members if item.record.made_on == kind]
        arms = [
            [item for item in mine if item.record.variant == arm.name] for arm in self.scaled.arms
        ]
        verdict = self.scaled.judge(arms, self.scale) if arms else self.verdict
        enough = verdict.measured is not None and verdict.measured.n > 1
        return verdict.effect if enough else None

    @property
    def sensitivity(self) -> bool:
        """Whether the question is asked apart from the verdict."""
        return self.question.sensitivity

    @property
    def scaled(self) -> Question:
        """The question with the networks, seeds and target of this row's scale."""
        return self.question.at(self.scale, self.claim.scales[self.scale])

    @property
    def marks(self) -> tuple[str, ...]:
        """What a reader should know beside the word."""
        first = min((item.record.started for item in (*self.members, *self.sweep)), default="")
        marks = ("survives Holm",) * self.survives + ("rate not settled",) * self.unsettled
        marks += ("target read by row",) * (self.is_read_by_row and self.verdict.word != "–")
        if not first or not self.question.trained or self.verdict.word in ("–", "not run"):
            return marks
        if self.rule_since is None:
            return (*marks, "rule not dated")
        late = self.rule_since > first[:10]
        return (*marks, "rule younger than its first record") if late else marks

    @property
    def is_read_by_row(self) -> bool:
        """Whether a counted run read its target from single rows of its history."""
        return any(item.record.recipe.get("target_window") == "row" for item in self.members)

    @property
    def word(self) -> str:
        """The verdict's word with its mark."""
        mark = self.verdict.mark
        return f"{self.verdict.word} ({mark})" if mark else self.verdict.word

    @property
    def measured_text(self) -> str:
        """The measured number with its 95 % interval."""
        return self.question.measured_text(self.verdict)

    def arm(self, variant: str) -> list[Stored]:
        """The counted records of one variant, by seed."""
        return [item for item in self.members if item.record.variant == variant]


def judge(claim: Claim, stored: Sequence[Stored]) -> list[VerdictRow]:
    """All rows of a claim: one per data set, version and scale, or a single `not run` row."""
    rows = []
    there = {item.record.scale for item in stored}
    planned = {
        scale: {run.key: run for run in planned_runs(claim, scale)}
        for scale in claim.scales
        if scale in there
    }
    for question in claim.questions:
        found = []
        for scale, runs in planned.items():
            asked = {run.key for run in question_runs(claim, question, scale)}
            mine = [
                item
                for item in stored
                if item.record.scale == scale and _concerns(claim, question, asked, item)
            ]
            found += [
                _judge_group(claim, question, scale, items, runs)
                for items in _groups(mine, question.metrics)
            ]
        rows += found or [_not_run(claim, question)]
    return rows


def _concerns(claim: Claim, question: Question, asked: Collection[Key], item: Stored) -> bool:
    """Whether a record is about a question.

    Of networks that other claims have in more seeds, only those that it asks for are.
    """
    record = item.record
    if not question.trained:
        mine = record.claim == claim.name and record.kind == "count"
        return mine and question.name in record.metrics
    if record.shared:
        mine = record.key in asked
    else:
        names = {arm.name for arm in question.arms}
        mine = record.claim == claim.name and (
            record.question == question.name or record.variant in names
        )
    return mine and record.status != "failed"


def _groups(items: Sequence[Stored], metrics: Sequence[str]) -> Iterator[list[Stored]]:
    """Records whose data, versions and parents' data agree as far as they matter for `metrics`.

    What uncommitted code made stands apart from what committed code made.
    """
    groups: dict[tuple[str, ...], list[Stored]] = {}
    for item in items:
        record = item.record
        data = (record.data.name, record.data.fingerprint) if record.data else ("", "")
        versions = [
            record.version.metrics.get(group, today)
            for group, today in metric_versions(metrics, trained=record.kind != "count").items()
        ]
        groups.setdefault(
            (*data, str([record.version.training, *versions]), str(bool(record.code.dirty))), []
        ).append(item)
    for _, mine in sorted(groups.items()):
        for origins in sorted({item.record.origins for item in mine} - {()}) or [()]:
            yield [item for item in mine if item.record.origins in ((), origins)]


def _judge_group(
    claim: Claim,
    question: Question,
    scale: str,
    items: Sequence[Stored],
    runs: dict[Key, PlannedRun],
) -> VerdictRow:
    answers, outdated = _sort(items, runs)
    tried = [
        firsts[0] for key, firsts in answers.items() if firsts and runs[key].purpose == "sweep"
    ]
    members = _members(claim, question, scale, answers)
    scaled = question.at(scale, claim.scales[scale])
    names = [arm.name for arm in scaled.arms] or ["count"]
    arms = [[item for item in members if item.record.variant == name] for name in names]
    planned, verdict = len(scaled.seeds), scaled.judge(arms, scale)
    counted = verdict.measured.n if verdict.measured else 0
    n = counted if question.trained else min(map(len, arms))
    reasons = [why for item, why in outdated if item.record.purpose != "sweep"]
    if verdict.word == "not run" and reasons:
        why = f"{len(reasons)} records are outdated: {'; '.join(reasons[0])}"
        verdict = replace(verdict, reason=why)
    elif verdict.word == "not run" and (lacking := _lacking(question, members)):
        verdict = replace(verdict, reason=f"the records have no {', '.join(lacking)}")
    shown = {id(item) for item in (*members, *tried)}
    first = min(items, key=lambda item: item.record.id).record
    return VerdictRow(
        claim,
        question,
        scale,
        _marked(verdict, first),
        planned,
        n,
        _data_words(first),
        _kinds(members),
        tuple(members),
        tuple(sorted(tried, key=_by_arm)),
        tuple(sorted((item for item in items if id(item) not in shown), key=_by_arm)),
        rule_since=rule_dates.since(claim, question, scale),
    )


def _lacking(question: Question, members: Sequence[Stored]) -> list[str]:
    """The metrics of a question that none of the records has."""
    if not members:
        return []
    there = {name for item in members for name in item.record.metrics}
    return [name for name in dict.fromkeys(question.metrics) if name not in there]


def _marked(verdict: Verdict, record: Record) -> Verdict:
    """The verdict with the mark of an unofficial copy of the right images."""
    if record.data is None or record.data.canonical or verdict.word not in DECIDED:
        return verdict
    return replace(verdict, mark=", ".join(filter(None, (verdict.mark, "copy"))))


def _by_arm(item: Stored) -> tuple[str, str, str, int, int, str]:
    record = item.record
    return record.kind, record.purpose, record.variant, record.seed, item.repeat, item.folder.name


def _in_words(kind: Kind) -> str:
    return kind[0] if kind[0] == "any" else ", ".join(" ".join(part.split()) for part in kind)


def _kinds(items: Sequence[Stored]) -> dict[Kind, tuple[int, ...]]:
    found: dict[Kind, set[int]] = {}
    for item in items:
        found.setdefault(item.record.made_on, set()).add(item.record.seed)
    return {kind: tuple(sorted(seeds)) for kind, seeds in sorted(found.items())}


def _sort(
    items: Sequence[Stored], runs: Mapping[Key, PlannedRun]
) -> tuple[dict[Key, list[Stored]], list[tuple[Stored, list[str]]]]:
    """The records that answer each planned run, earliest first, and rejected ones with reasons."""
    answers: dict[Key, list[Stored]] = {}
    outdated = []
    for item in earliest_first(items):
        run = runs.get(item.record.key)
        if run is None:
            continue
        if why := differences(item.record, run, {}):
            outdated.append((item, why))
        elif not why_not(item, run, {}, dirty=True):
            answers.setdefault(run.key, []).append(item)
    return answers, outdated


def _lacks(item: Stored, metrics: frozenset[str]) -> bool:
    """Whether a run that ended well was made before a metric was asked for: it is made again."""
    return item.record.status == "ok" and not metrics <= item.record.metrics.keys()


def _members(
    claim: Claim, question: Question, scale: str, answers: Mapping[Key, Sequence[Stored]]
) -> list[Stored]:
    """The records behind a verdict: each seed's arms from the first kind of machine with both."""
    if not question.trained:
        return [firsts[0] for firsts in answers.values() if firsts][:1]
    asked = frozenset(question.metrics)
    whole = {
        key: [item for item in items if not _lacks(item, asked)] or items
        for key, items in answers.items()
    }
    found = []
    for block in seed_blocks(claim, question, scale):
        kind = block_kind(block, whole)
        found += [first_on(whole[run.key], kind) for run in block] if kind else []
    return sorted((item for item in found if item), key=_by_arm)


def _data_words(record: Record) -> str:
    if record.data is None:
        return "none; uncommitted code" if record.code.dirty else "none"
    if record.scale == "smoke":
        return "synthetic; uncommitted code" if record.code.dirty else "synthetic"
    mark = "; uncommitted code" if record.code.dirty else ""
    return (
        f"{record.data.name}, {'canonical' if record.data.canonical else 'other copy'} "
        f"{record.data.fingerprint[:6]}{mark}"
    )


def _not_run(claim: Claim, question: Question) -> VerdictRow:
    scale = next(iter(claim.scales))
    planned = len(question.at(scale, claim.scales[scale]).seeds)
    return VerdictRow(claim, question, scale, Verdict("not run", "no records"), planned, 0, "–", {})
