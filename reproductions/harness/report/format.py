"""Tables and the places of records in Markdown."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from reproductions.harness.records.store import Stored

# how every Markdown file of the report begins
HEAD = "<!-- Generated from the records by `nox -s report`; this page is never edited. -->"


def table(rows: Sequence[dict[str, Any]]) -> str:
    """A Markdown table; every cell is already text, so the library reformats nothing."""
    if not rows:
        return "(none)"
    frame = pd.DataFrame(
        [{k: str(v).replace("|", "\\|").replace("\n", " ") for k, v in row.items()} for row in rows]
    )
    return str(frame.to_markdown(index=False, disable_numparse=True))


def whole_page(title: str, parts: Sequence[str]) -> str:
    """A Markdown file of the report; empty parts are left out."""
    return "\n\n".join([HEAD, f"# {title}", *filter(None, parts)]) + "\n"


def bullets(lines: Sequence[str]) -> str:
    """A list; "(none)" without lines."""
    return "\n".join(f"- {line}" for line in lines) or "(none)"


def path_of(item: Stored) -> str:
    """A record's folder below the results folder."""
    return "/".join(item.folder.parts[-4:])


def paths(items: Sequence[Stored]) -> str:
    """Records' folders in a line."""
    return ", ".join(f"`{path_of(item)}`" for item in items)
