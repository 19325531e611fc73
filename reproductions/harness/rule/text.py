"""Numbers as people read them; every number is formatted here, nothing is rounded elsewhere."""

import math
import statistics
from collections.abc import Sequence

from reproductions.harness.rule.student_t import t_quantile

UNITS = {"percent": " %", "points": " points", "×": "×"}


def number(value: float | None, digits: int = 2) -> str:
    """A number with separated thousands and `digits` after the point; "–" if None."""
    return "–" if value is None else f"{value:,.{digits}f}"


def count(value: float | None) -> str:
    """A count, or a share with three digits after the point."""
    return number(value, 0 if value is None or float(value).is_integer() else 3)


def interval(values: Sequence[float]) -> str:
    """The mean with its 95 % t interval; of a single value no interval."""
    if not values:
        return "–"
    mean = statistics.fmean(values)
    if len(values) < 2:
        return f"{mean:.2f}"
    half = t_quantile(0.975, len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return f"{mean:.2f} [{mean - half:.2f}, {mean + half:.2f}]"


def interval_text(low: float, high: float) -> str:
    """An interval; an end is open where runs did not reach the target."""
    first = "(…" if low in (-math.inf, 0.0) else f"[{low:.2f}"
    last = "…)" if high == math.inf else f"{high:.2f}]"
    return f"{first}, {last}"
