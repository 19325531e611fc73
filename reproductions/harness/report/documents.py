"""Tables in the project's own documents that `report` keeps up to date, each between two comments.

Imports no torch.
"""

from collections.abc import Sequence
from pathlib import Path

from reproductions.harness.judge.rows import VerdictRow
from reproductions.harness.report.discrepancies import discrepancies_tables
from reproductions.harness.report.page import short_table

START, END = "<!-- made by `report`, a test checks it -->", "<!-- end of what `report` makes -->"


def tables_of(rows: Sequence[VerdictRow]) -> dict[str, str]:
    """The text between the comments of each document, by its path in the checkout."""
    return {"README.md": short_table(rows), "docs/text-against-code.md": discrepancies_tables()}


def outdated(checkout: Path, rows: Sequence[VerdictRow]) -> dict[Path, str]:
    """The documents whose table is not that of `rows`, with the text they should have.

    One without the comments is left alone.
    """
    found = {}
    for name, table in tables_of(rows).items():
        path = checkout / name
        text = path.read_text() if path.exists() else ""
        before, start, rest = text.partition(START)
        _, end, after = rest.partition(END)
        new = f"{before}{start}\n\n{table}\n\n{end}{after}"
        if end and new != text:
            found[path] = new
    return found
