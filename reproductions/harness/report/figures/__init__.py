"""The report's figures; each file carries the digest of its numbers and style.

A check compares digests and draws nothing.
"""

from collections.abc import Callable
from typing import Any

from reproductions.harness.claims.epoch_ratio import EpochRatio
from reproductions.harness.claims.questions import Difference, Value
from reproductions.harness.judge.rows import VerdictRow
from reproductions.harness.report.figures import forest as _forest
from reproductions.harness.report.figures import kernels as _kernels
from reproductions.harness.report.figures import retrieval as _retrieval
from reproductions.harness.report.figures.curves import curves
from reproductions.harness.report.figures.differences import difference
from reproductions.harness.report.figures.figure import Figure, csv_name, stored_digest
from reproductions.harness.report.figures.forest import forest
from reproductions.harness.report.figures.values import value
from reproductions.harness.report.figures.words import RUN_COLUMNS

__all__ = ["FOREST", "Figure", "csv_name", "forest", "picture_of", "stored_digest"]

FOREST = "figures/verdicts.png"
# how the CSV of a figure begins
CSV_HEADS = tuple(
    ",".join(columns) + "\n"
    for columns in (RUN_COLUMNS, _forest.COLUMNS, _kernels.COLUMNS, _retrieval.COLUMNS)
)
# By the name that a question gives its figure, and else by its kind.
FIGURES: dict[str, Callable[..., Figure | None]] = {
    "curves": curves,
    "kernels": _kernels.kernels,
    "neighbours": _retrieval.examples,
}
KINDS: dict[type, Callable[..., Figure | None]] = {
    EpochRatio: curves,
    Difference: difference,
    Value: value,
}


def picture_of(row: VerdictRow) -> Figure | None:
    """The figure of a trained question with records that count; None for other rows.

    Raises EvidenceError, which names the file, where one is broken or cannot be read that the
    picture alone needs.
    """
    question: Any = row.scaled
    kinds = (make for kind, make in KINDS.items() if isinstance(question, kind))
    make = FIGURES.get(question.figure) or next(kinds, None)
    return make(row, question) if make and row.members else None
