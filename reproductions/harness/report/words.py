"""Verdict words and marks as the pages show them, their definitions, and what chance would give."""

from collections.abc import Sequence

from reproductions.harness.claims.claim import KINDS
from reproductions.harness.claims.question import Question
from reproductions.harness.judge.many import CHANCE
from reproductions.harness.judge.rows import VerdictRow
from reproductions.harness.rule.verdict import MARKS, MEANING


def kind_of(question: Question) -> str:
    """Whether a question is empirical or arithmetic."""
    return KINDS[0] if question.trained else KINDS[1]


def marks_of(row: VerdictRow) -> list[str]:
    """All marks of a row, in the order in which they are shown."""
    given = row.verdict.mark.split(", ") if row.verdict.mark else []
    return [*given, *["sensitivity"] * row.sensitivity, *row.marks]


def plain_word(row: VerdictRow) -> str:
    """A verdict with its marks."""
    marks = ", ".join(marks_of(row))
    return f"{row.verdict.word} ({marks})" if marks else row.verdict.word


def bold_word(row: VerdictRow) -> str:
    """A verdict in bold with its marks, for Markdown."""
    marks = ", ".join(marks_of(row))
    return f"**{row.verdict.word}** ({marks})" if marks else f"**{row.verdict.word}**"


def definitions(rows: Sequence[VerdictRow]) -> str:
    """A line for each word and mark of some rows, with the first such row as an example."""
    lines = []
    for word, meaning in MEANING.items():
        with_word = [row for row in rows if row.verdict.word == word]
        lines += [f"- **{word}**: {meaning}. {_example(row)}" for row in with_word[:1]]
    for mark, meaning in MARKS.items():
        with_mark = [row for row in rows if mark in marks_of(row)]
        lines += [f"- **({mark})**: {meaning}. Example: `{row.cell}`." for row in with_mark[:1]]
    return "\n".join(lines)


def _example(row: VerdictRow) -> str:
    numbers = f" {row.measured_text}, paper {row.question.paper_text}" if row.members else ""
    return f"Example: `{row.cell}`{numbers}; {row.verdict.reason}."


def chance(intervals: int, wrong: str = "show an effect where there is none") -> str:
    """How many intervals a table shows and how many of them are wrong by chance."""
    if not intervals:
        return "This table shows no interval."
    plural = "intervals" if intervals > 1 else "interval"
    return (
        f"This table shows {intervals} {plural} at 95 %; by chance {CHANCE * intervals:.2g} "
        f"of them would {wrong}."
    )
