"""What records say of a claim, a line per question: shown before training and after smoke runs."""

from collections.abc import Sequence
from pathlib import Path

from reproductions.harness.claims.claim import SCALES, Claim
from reproductions.harness.judge.rows import VerdictRow, judge
from reproductions.harness.records.load import read_records
from reproductions.harness.records.paths import RESULTS


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
