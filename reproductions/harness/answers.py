"""What records say of a claim, a line per question: told before a command trains, and beside a run on stand-in images."""

from collections.abc import Sequence
from pathlib import Path

from reproductions.harness import wording
from reproductions.harness.claim import Claim
from reproductions.harness.judge import Judged, judge
from reproductions.harness.places import RESULTS
from reproductions.harness.record import read_records
from reproductions.harness.settle import SCALES


def answer(row: Judged) -> str:
    """A row's number with its interval, the paper's, and its word."""
    return f"{row.cell}: {wording.measured(row)}, paper {wording.paper(row)}: {row.verdict.word}"


def recorded(claim: Claim, results: Path) -> list[str]:
    """A line per question: what the records under `results` say, or the committed ones where it has none of this claim."""
    rows, whose = _best(claim, results), f"records in {results} say"
    if results.resolve() == RESULTS or not any(row.members for row in rows):
        rows, whose = _best(claim, RESULTS), "committed records say"
    return [f"{whose}: {_in_full(row)}" for row in rows]


def beside(claim: Claim, results: Path, made: Sequence[Judged]) -> list[str]:
    """Two lines per question: what records of real images say, and what a run on stand-in images, judged in `made`, gave."""
    lines = []
    for question, theirs in zip(claim.questions, recorded(claim, results), strict=True):
        width = len(theirs.partition(": ")[0]) + 1
        mine = [row for row in made if row.question.name == question.name]
        lines += [theirs, *(f"{'this smoke run says:':<{width}} {answer(row)}, no evidence" for row in mine)]
    return lines


def _best(claim: Claim, results: Path) -> list[Judged]:
    """Of each question the row with records at the most faithful scale, and there the one with the most seeds."""
    rows = judge(claim, read_records(results)[0])

    def merit(row: Judged) -> tuple[bool, int, int]:
        return not row.members, SCALES.index(row.scale), -row.n

    return [min((row for row in rows if row.question.name == question.name), key=merit) for question in claim.questions]


def _in_full(row: Judged) -> str:
    """With what the number rests on: seeds, and the kind of machine."""
    if not row.members:
        return f"{row.cell}: {row.verdict.word}"
    number, _, word = answer(row).rpartition(": ")
    machine = "any machine" if row.hardware == "any" else row.hardware
    return f"{number}, n {row.n} of {row.planned} at scale {row.scale}, {machine}: {word}"
