"""The paper's 58 quantitative statements, each with the questions that decide it or a reason.

They are in statements.toml. Imports no torch.
"""

from collections.abc import Sequence
from functools import cache
from itertools import groupby

from pydantic import Field, model_validator

from reproductions.harness.claims.questions import Count
from reproductions.harness.judge.rows import VerdictRow
from reproductions.harness.report.format import table
from reproductions.harness.report.tables import TableRow, read_table


class Statement(TableRow):
    """One statement of the paper in our words."""

    number: int
    where: str = Field(pattern=r"^(Abstract|§|Table|Figure)")  # section, table or figure
    text: str
    questions: tuple[str, ...] = ()  # "claim.question": what decides it
    remark: str = ""  # what its questions leave open
    reason: str = Field(default="", pattern=r"^((quoted|compared|not decided): \S|$)")

    @model_validator(mode="after")
    def _is_answered(self) -> "Statement":
        if bool(self.questions) == bool(self.reason) or (self.reason and self.remark):
            raise ValueError("has either questions or a reason, and a remark on questions alone")
        return self


@cache
def statements() -> tuple[Statement, ...]:
    """All statements by number. Raises BadDataError if statements.toml is broken."""
    return read_table("statements.toml", Statement)


def ledger_table(rows: Sequence[VerdictRow]) -> str:
    """Every statement with its questions and the verdicts of the judged rows, in Markdown."""
    words: dict[str, list[str]] = {}
    for row in rows:
        words.setdefault(row.cell, []).append(_words(row))
    return table(
        [
            {
                "#": str(statement.number),
                "§": statement.where,
                "The paper says": statement.text,
                "Decided by": _decided_by(statement),
                "Verdicts": _verdicts(statement, words),
            }
            for statement in statements()
        ]
    )


def _decided_by(statement: Statement) -> str:
    if statement.reason:
        return statement.reason
    cells = ", ".join(f"`{cell}`" for cell in statement.questions)
    return f"{cells}; {statement.remark}" if statement.remark else cells


def _verdicts(statement: Statement, words: dict[str, list[str]]) -> str:
    """The words of each cell in order, once where all cells have the same."""
    if statement.reason:
        return "–"
    found = [", ".join(dict.fromkeys(words.get(cell, ["not run"]))) for cell in statement.questions]
    runs = [(said, len(list(same))) for said, same in groupby(found)]
    return (
        found[0]
        if len(runs) == 1
        else "; ".join(f"{count} × {said}" if count > 1 else said for said, count in runs)
    )


def _words(row: VerdictRow) -> str:
    """A row's verdict with its scale; a count has no other scale than the paper's."""
    word = {"–": "not judged"}.get(row.verdict.word, row.word)
    return word if word == "not run" or isinstance(row.question, Count) else f"{word} ({row.scale})"
