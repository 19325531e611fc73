"""The judged rows as data: every number from which a word follows. What report.json holds."""

import json
import math
from collections.abc import Sequence
from typing import Any

from reproductions.harness.judge.rows import VerdictRow
from reproductions.harness.records.store import Stored
from reproductions.harness.report.arms import better_without
from reproductions.harness.report.format import path_of
from reproductions.harness.report.words import kind_of, marks_of
from reproductions.harness.rule.effect import Effect


def report_json(rows: Sequence[VerdictRow], stored: Sequence[Stored], broken: Sequence[str]) -> str:
    """The text of report.json."""
    found = {"records": len(stored), "broken": list(broken), "rows": [_row(row) for row in rows]}
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def _row(row: VerdictRow) -> dict[str, Any]:
    return {
        "cell": row.cell,
        "source": row.claim.section,
        "text": row.question.text,
        "kind": kind_of(row.question),
        "asks": type(row.question).__name__,
        "paper": row.question.paper,
        **_asked(row),
        "scale": row.scale,
        "data": row.data,
        "hardware": row.hardware,
        "kinds": row.kinds_as_data,
        "planned": row.planned,
        "n": row.n,
        "diverged": sum(item.record.status == "diverged" for item in row.members),
        "measured": _short(row.verdict.effect),
        "low": _short(row.verdict.low),
        "high": _short(row.verdict.high),
        **_errors(row.verdict.measured),
        "gate": row.verdict.reason if row.verdict.word == "too short to tell" else None,
        "verdict": row.verdict.word,
        "mark": row.verdict.mark,
        "marks": marks_of(row),
        "word": row.word,
        "rule_since": row.rule_since,
        "reason": row.verdict.reason,
        "better_without": better_without(row) or None,
        "sensitivity": row.sensitivity,
        "evidence": [path_of(item) for item in row.members],
    }


def _asked(row: VerdictRow) -> dict[str, Any]:
    """What the claim says of its number: of an effect its sizes, of a number its tolerance."""
    question = row.scaled
    asked = getattr(question, "asked", None)
    return {
        "min_effect": asked and asked.least,
        "over": bool(asked and asked.over),
        "none": bool(asked and asked.none),
        "ratio": bool(asked and asked.ratio),
        "tolerance": getattr(question, "tolerance", None),
        "at_most": getattr(question, "at_most", False),
    }


def _errors(effect: Effect | None) -> dict[str, Any]:
    """The pairs that count, those at their bound, and the standard errors by their source."""
    if effect is None:
        return {"pairs": 0, "pairs_at_bound": 0, "error_seeds": None, "error_images": None}
    images = None if effect.images is None else _short(math.sqrt(effect.images))
    return {
        "pairs": effect.n,
        "pairs_at_bound": effect.n - effect.whole,
        "error_seeds": _short(math.sqrt(effect.seeds)) if effect.n > 1 else None,
        "error_images": images,
    }


def _short(value: float | None) -> float | None:
    """Nine digits, since more would differ between processors' libraries; None if not finite."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.9g}")
