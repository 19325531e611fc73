"""Where text and 2012 code differ, from discrepancies.toml: a table without verdicts."""

import csv
import io
from collections import Counter
from functools import cache
from typing import Literal, get_args

from pydantic import Field

from reproductions.harness.report.format import table
from reproductions.harness.report.statements import TableRow, read_table

Kind = Literal["architecture", "training", "augmentation", "evaluation", "data"]
UNMEASURED = "not measured"


class Discrepancy(TableRow):
    """One difference, in `discrepancies.csv`'s order of columns; “ ” are the paper's own words."""

    name: str
    type: Kind
    section: str = Field(pattern="^(§|Abstract|Figure)")
    text: str = Field(min_length=1)  # what the paper prints
    code_2012: str = Field(min_length=1)  # what the code does
    file_2012: str = Field(pattern="`|net #")
    this_suite: str = Field(min_length=1)  # what is computed here
    # on the network's results
    measured_effect: str = Field(default=UNMEASURED, pattern=f"^({UNMEASURED}|none|2012 log)")


HEADER = ",".join(Discrepancy.model_fields)  # of discrepancies.csv


@cache
def discrepancies() -> tuple[Discrepancy, ...]:
    """All differences by type. Raises BadDataError if discrepancies.toml is broken."""
    return read_table("discrepancies.toml", Discrepancy)


def discrepancies_csv() -> str:
    """All differences, one row each."""
    file = io.StringIO()
    writer = csv.DictWriter(file, list(Discrepancy.model_fields), lineterminator="\n")
    writer.writeheader()
    writer.writerows(item.model_dump() for item in discrepancies())
    return file.getvalue()


def summary() -> str:
    """How many differences there are, of which type."""
    counts = Counter(item.type for item in discrepancies())
    kinds = [f"{counts[kind]} of {kind}" for kind in get_args(Kind)]
    return f"{len(discrepancies())} places: {', '.join(kinds[:-1])} and {kinds[-1]}"


def discrepancies_tables() -> str:
    """A Markdown table for each type, with its heading."""
    parts = []
    for kind in get_args(Kind):
        lines = [
            {
                "Name": f"`{item.name}`",
                "§": item.section,
                "The paper": item.text,
                "The 2012 code": f"{item.code_2012} ({item.file_2012})",
                "This suite": item.this_suite,
                "Measured effect": item.measured_effect,
            }
            for item in discrepancies()
            if item.type == kind
        ]
        parts += [f"## {kind.capitalize()}", table(lines)]
    return "\n\n".join(parts)
