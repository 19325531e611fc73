"""The end of `run` and `submit`: the reports are rebuilt, and what they say is printed."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from reproductions.harness.claims.claim import discover
from reproductions.harness.plan.choose_data import console
from reproductions.harness.plan.claim_plan import ClaimPlan

if TYPE_CHECKING:
    from reproductions.harness.judge.rows import VerdictRow
    from reproductions.harness.report.build import Report


def say(*lines: object) -> None:
    """Print lines as they are."""
    for line in lines:
        console.print(str(line), markup=False)


def conclude(works: Sequence[ClaimPlan]) -> bool:
    """Rebuild the reports and print what they say of the claims.

    Returns whether no record, and nothing of one, was left out.
    """
    from reproductions.harness.report import answers

    reports = _rebuilt(dict.fromkeys(root for work in works for root in (work.root, work.results)))
    for root, built in reports.items():
        say(*(f"warning: {line}" for line in _warnings(root, built)))
        rows = [row for row in _asked(built, root, works) if row.scale != "smoke"]
        say(*(f"  {answers.answer(row)}" for row in rows))
    roots = dict.fromkeys(work.root for work in works)
    say(*(f"report: {root / 'report.md'}" for root in roots if root in reports))
    for work in works:
        if work.scale == "smoke" and work.root in reports:
            made = _asked(reports[work.root], work.root, [work])
            say(*answers.beside(work.claim, work.results, made))
    return not any(built.faults for built in reports.values())


def _rebuilt(roots: Iterable[Path]) -> "dict[Path, Report]":
    from reproductions.harness.report import build as report

    claims = discover()
    return {root: report.write(root, claims) for root in roots if report.has_records(root)}


def _warnings(root: Path, built: "Report") -> Iterator[str]:
    yield from map(str, built.faults)
    for name in built.foreign:
        yield f"{root / name} was not made by `report` and is not touched"


def _asked(built: "Report", root: Path, works: Sequence[ClaimPlan]) -> "list[VerdictRow]":
    """The rows of these claims at their scales."""
    asked = {(work.claim.name, work.scale) for work in works if work.root == root}
    return [row for row in built.rows if (row.claim.name, row.scale) in asked]


def refresh(work: ClaimPlan) -> None:
    """Rebuild the report between two seeds, and print what it says so far."""
    from reproductions.harness.report import answers

    with suppress(OSError):  # the end of the command reports it, when the runs are made
        for root, built in _rebuilt([work.root]).items():
            rows = _asked(built, root, [work])
            say(*(f"  so far: {answers.answer(row)}" for row in rows))
