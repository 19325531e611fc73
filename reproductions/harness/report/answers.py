"""What records say of a claim, a line per question: shown before training and after smoke runs."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from reproductions.harness.claims.claim import SCALES, Claim, discover
from reproductions.harness.judge.rows import VerdictRow, judge
from reproductions.harness.plan.choose_data import say
from reproductions.harness.plan.claim_plan import ClaimPlan
from reproductions.harness.records.files import RESULTS
from reproductions.harness.records.load import read_records

if TYPE_CHECKING:
    from reproductions.harness.report.build import Report


def answer(row: VerdictRow) -> str:
    """A row's number with its interval, the paper's, and its word."""
    return f"{row.cell}: {row.measured_text}, paper {row.question.paper_text}: {row.word}"


def recorded(claim: Claim, results: Path) -> list[str]:
    """A line per question from the records under `results`, or else from the committed ones."""
    rows, whose = _best(claim, results), f"records in {results} say"
    if results.resolve() == RESULTS or not any(row.members for row in rows):
        rows, whose = _best(claim, RESULTS), "committed records say"
    return [f"{whose}: {_in_full(row)}" for row in rows]


def beside(claim: Claim, results: Path, made: Sequence[VerdictRow]) -> list[str]:
    """Two lines per question: the verdict on real images, and what a run on synthetic ones gave."""
    lines = []
    for question, theirs in zip(claim.questions, recorded(claim, results), strict=True):
        width = len(theirs.partition(": ")[0]) + 1
        mine = [row for row in made if row.question.name == question.name]
        lines += [
            theirs,
            *(f"{'this smoke run says:':<{width}} {answer(row)}, no evidence" for row in mine),
        ]
    return lines


def _best(claim: Claim, results: Path) -> list[VerdictRow]:
    """Each question's row at the most faithful scale with records, the one with the most seeds."""
    rows = judge(claim, read_records(results)[0])

    def merit(row: VerdictRow) -> tuple[bool, int, int]:
        return not row.members, SCALES.index(row.scale), -row.n

    return [
        min((row for row in rows if row.question.name == question.name), key=merit)
        for question in claim.questions
    ]


def _in_full(row: VerdictRow) -> str:
    """With what the number rests on: seeds, and the kind of machine."""
    if not row.members:
        return f"{row.cell}: {row.word}"
    number, _, word = answer(row).rpartition(": ")
    machine = "any machine" if row.hardware == "any" else row.hardware
    return f"{number}, n {row.n} of {row.planned} at scale {row.scale}, {machine}: {word}"


def conclude(works: Sequence[ClaimPlan]) -> bool:
    """Rebuild the reports and print what they say of the claims.

    Returns whether no record, and nothing of one, was left out.
    """
    reports = _rebuilt(dict.fromkeys(root for work in works for root in (work.root, work.results)))
    for root, built in reports.items():
        say(*(f"warning: {fault}" for fault in built.faults))
        for name in built.foreign:
            say(f"warning: {root / name} was not made by `report` and is not touched")
        rows = [row for row in _asked(built, root, works) if row.scale != "smoke"]
        say(*(f"  {answer(row)}" for row in rows))
    roots = dict.fromkeys(work.root for work in works)
    say(*(f"report: {root / 'report.md'}" for root in roots if root in reports))
    for work in works:
        if work.scale == "smoke" and work.root in reports:
            made = _asked(reports[work.root], work.root, [work])
            say(*beside(work.claim, work.results, made))
    return not any(built.faults for built in reports.values())


def _rebuilt(roots: Iterable[Path]) -> "dict[Path, Report]":
    from reproductions.harness.report import build as report  # noqa: PLC0415 - pandas takes long

    claims = discover()
    return {root: report.write(root, claims) for root in roots if report.has_records(root)}


def _asked(built: "Report", root: Path, works: Sequence[ClaimPlan]) -> list[VerdictRow]:
    asked = {(work.claim.name, work.scale) for work in works if work.root == root}
    return [row for row in built.rows if (row.claim.name, row.scale) in asked]


def refresh(work: ClaimPlan) -> None:
    """Rebuild the report between two seeds, and print what it says so far."""
    with suppress(OSError):  # the end of the command reports it, when the runs are made
        for root, built in _rebuilt([work.root]).items():
            rows = _asked(built, root, [work])
            say(*(f"  so far: {answer(row)}" for row in rows))
