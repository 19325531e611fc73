"""Numbers and tables in words.

Formats every number itself, so that nothing is rounded behind our back.
"""

import math
import statistics
from collections.abc import Sequence
from typing import Any

import pandas as pd

from reproductions.harness.claims.claim import Exact, Question, SpeedUp
from reproductions.harness.judge.rows import VerdictRow
from reproductions.harness.judge.student_t import t_quantile
from reproductions.harness.records.store import Stored

UNITS = {"percent": " %", "points": " points"}


def table(rows: Sequence[dict[str, Any]]) -> str:
    """A Markdown table; every cell is already text, so the library reformats nothing."""
    if not rows:
        return "(none)"
    frame = pd.DataFrame(
        [{k: str(v).replace("|", "\\|").replace("\n", " ") for k, v in row.items()} for row in rows]
    )
    return str(frame.to_markdown(index=False, disable_numparse=True))


def number(value: float | None, digits: int = 2) -> str:
    """A number for people: thousands separated, `digits` after the point; "–" if None."""
    return "–" if value is None else f"{value:,.{digits}f}"


def count(value: float | None) -> str:
    """A count, or a share with three digits after the point."""
    return number(value, 0 if value is None or float(value).is_integer() else 3)


def unit_of(question: Question) -> str:
    """What stands behind a question's number."""
    return "×" if isinstance(question, SpeedUp) else UNITS.get(question.unit, "")


def measured(row: VerdictRow) -> str:
    """The measured number of a row with its 95 % interval."""
    unit = unit_of(row.question)
    if isinstance(row.question, Exact):
        return count(row.measured) + unit if row.members else "–"
    v = row.verdict
    if v.effect is None:
        return "–"
    if v.low is not None and v.high is not None:
        return f"{v.effect:.2f}{unit} [{v.low:.2f}, {v.high:.2f}]"
    return (
        f"{v.magnitude} {v.effect:.2f}{unit} (no interval)"
        if v.magnitude
        else f"{v.effect:.2f}{unit} (one run)"
    )


def paper(row: VerdictRow) -> str:
    """The paper's number of a row."""
    question = row.question
    if question.paper is None:
        return "> 0"
    if isinstance(question, Exact):
        return ("≤ " if question.at_most else "") + count(question.paper) + unit_of(question)
    at_least = "> " if getattr(question, "at_least", False) else ""
    return f"{at_least}{question.paper:g}{unit_of(question)}"


def log(row: VerdictRow) -> str:
    """The number of the 2012 logs, where they have one."""
    value = None if isinstance(row.question, SpeedUp) else row.question.log
    if value is None:
        return "–"
    return count(value) if isinstance(row.question, Exact) else f"{value:g}{unit_of(row.question)}"


def interval(values: Sequence[float]) -> str:
    """Mean with its 95 % t interval; without an interval for a single value."""
    if not values:
        return "–"
    mean = statistics.fmean(values)
    if len(values) < 2:
        return f"{mean:.2f}"
    half = t_quantile(0.975, len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return f"{mean:.2f} [{mean - half:.2f}, {mean + half:.2f}]"


def path_of(item: Stored) -> str:
    """A record's folder below the results folder."""
    return "/".join(item.folder.parts[-4:])


def paths(items: Sequence[Stored]) -> str:
    """Records' folders in a line."""
    return ", ".join(f"`{path_of(item)}`" for item in items)
