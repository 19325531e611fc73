"""The paper's statements, each with the questions that decide it or a reason.

They are in statements.toml. A statement is empirical (networks are trained), arithmetic (counted),
text against code, a definition, quoted, or not decided. Imports no torch.
"""

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from reproductions.harness.claims.claim import discover
from reproductions.harness.claims.questions import Count
from reproductions.harness.errors import BadDataError
from reproductions.harness.judge.rows import VerdictRow
from reproductions.harness.report.format import table

FOLDER = Path(__file__).parent


class TableRow(BaseModel):
    """A row: no unknown keys, immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Row = TypeVar("Row", bound=TableRow)


def read_table(name: str, kind: type[Row]) -> tuple[Row, ...]:
    """The rows of a file, each headed by the name of their class: [[statement]].

    Raises BadDataError if the file is missing or broken, with its first fault.
    """
    try:
        found = tomllib.loads((FOLDER / name).read_text("utf-8")).get(kind.__name__.lower())
        return TypeAdapter(tuple[kind, ...]).validate_python(found)  # type: ignore[valid-type]
    except ValidationError as error:
        first = error.errors()[0]
        row, *field = first["loc"] or ("no row",)
        at = f"row {row + 1}" if isinstance(row, int) else row
        why = f"{' '.join(map(str, [at, *field]))}: {first['msg']}"
    except OSError as error:
        why = error.strerror or ""
    except ValueError as error:  # no TOML, or not in UTF-8
        why = str(error)
    raise BadDataError(f"{FOLDER / name} cannot be read ({why}); restore it, or install again")


class Statement(TableRow):
    """One statement of the paper in our words."""

    number: int
    where: str = Field(pattern=r"^(Abstract|§|Table|Figure)")  # section, table or figure
    quote: str = Field(min_length=5, max_length=120)  # in the paper's words
    text: str
    questions: tuple[str, ...] = ()  # "claim.question": what decides it
    remark: str = ""  # what its questions leave open
    reason: str = Field(
        default="", pattern=r"^((quoted|definition|text against code|not decided): \S|$)"
    )

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
    claims = {name: claim.kind for name, claim in discover().items()}
    for row in rows:
        words.setdefault(row.cell, []).append(_words(row))
    return table(
        [
            {
                "#": str(statement.number),
                "§": statement.where,
                "The paper": f"“{statement.quote}”",
                "It says": statement.text,
                "Kind": _kind(statement, claims),
                "Decided by": _decided_by(statement),
                "Verdicts": _verdicts(statement, words),
            }
            for statement in statements()
        ]
    )


def _kind(statement: Statement, claims: Mapping[str, str]) -> str:
    """The kinds of the claims that decide it, or what its reason begins with."""
    if statement.reason:
        return statement.reason.partition(":")[0]
    names = (cell.partition(".")[0] for cell in statement.questions)
    return ", ".join(dict.fromkeys(claims.get(name, "–") for name in names))


def _decided_by(statement: Statement) -> str:
    if statement.reason:
        return statement.reason.partition(": ")[2]
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
