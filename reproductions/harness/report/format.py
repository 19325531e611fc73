"""Tables and the places of records in Markdown."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from reproductions.harness.records.store import Stored


def table(rows: Sequence[dict[str, Any]]) -> str:
    """A Markdown table; every cell is already text, so the library reformats nothing."""
    if not rows:
        return "(none)"
    frame = pd.DataFrame(
        [{k: str(v).replace("|", "\\|").replace("\n", " ") for k, v in row.items()} for row in rows]
    )
    return str(frame.to_markdown(index=False, disable_numparse=True))


def path_of(item: Stored) -> str:
    """A record's folder below the results folder."""
    return "/".join(item.folder.parts[-4:])


def paths(items: Sequence[Stored]) -> str:
    """Records' folders in a line."""
    return ", ".join(f"`{path_of(item)}`" for item in items)
