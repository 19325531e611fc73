"""A record's history: one row for each part of the training, and what is read off it."""

import csv
import hashlib
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reproductions.harness.records.files import CURVE, EvidenceError, read

# an AlexNet's has more columns after these
HISTORY = ("step", "epoch", "images", "train_loss", "train_error", "seconds")
Row = dict[str, float]  # by column; an empty cell has no entry


def read_history(folder: Path) -> list[Row]:
    """The rows of a record's history.csv. Raises EvidenceError if it is missing or broken."""
    try:
        table = csv.reader(io.StringIO(read(folder / CURVE).decode()), strict=True)
        columns = next(table, [])
        if tuple(columns[: len(HISTORY)]) != HISTORY:
            raise ValueError(f"its columns are {', '.join(columns)[:80]}")
        rows = []
        for cells in table:
            named = zip(columns, cells, strict=True)
            row = {name: float(cell) for name, cell in named if cell or name in HISTORY}
            if not all(map(math.isfinite, row.values())):
                raise ValueError(f"the row of step {cells[0]} has a value that is not finite")
            rows.append(row)
        return rows
    except (ValueError, csv.Error) as error:
        why = "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)
        raise EvidenceError(CURVE, f"is broken ({why})") from error


def history_digest(folder: Path) -> str:
    """Unique to a record: the sha256 of its history, or its path if the history has no rows."""
    content = read(folder / CURVE)
    if content.count(b"\n") > 1:
        return hashlib.sha256(content).hexdigest()
    return "/".join(folder.parts[-3:])


def error_of_epoch(rows: Sequence[Mapping[str, Any]], epoch: int) -> float:
    """The running training error of an epoch, counted from 1, percent: the mean over its images."""
    mine = [row for row in rows if math.ceil(row["epoch"]) == epoch]
    return float(
        sum(row["train_error"] * row["images"] for row in mine) / sum(row["images"] for row in mine)
    )
