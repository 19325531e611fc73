"""What is behind a row of the report: what `explain` prints."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from reproductions.harness.claims.claim import Claim, planned_runs
from reproductions.harness.judge.rows import VerdictRow, judge
from reproductions.harness.plan.counted import not_deciding
from reproductions.harness.records import provenance
from reproductions.harness.records.store import Stored
from reproductions.harness.report.format import path_of


def _numbers(row: VerdictRow, item: Stored) -> dict[str, str]:
    return {
        name: "none" if value is None else f"{value:,.4f}"
        for name, value in row.scaled.values(item).items()
    }


def unlike_today(row: VerdictRow, item: Stored) -> list[str]:
    """Informational fields in which a counted record differs from a run made here today."""
    run = next(
        (run for run in planned_runs(row.claim, row.scale) if run.key == item.record.key), None
    )
    return not_deciding(item.record, run, provenance.here()) if run else []


def rows_of(claim: Claim, name: str, stored: Sequence[Stored], scale: str) -> list[VerdictRow]:
    """The judged rows of one question at a scale."""
    rows = judge(claim, stored)
    return [row for row in rows if (row.question.name, row.scale) == (name, scale)]


def row_data(row: VerdictRow) -> dict[str, Any]:
    """What `explain_cell` says of a row, as data."""
    v = row.verdict
    return {
        "cell": row.cell,
        "scale": row.scale,
        "data": row.data,
        "verdict": v.word,
        "reason": v.reason,
        "effect": v.effect,
        "low": v.low,
        "high": v.high,
        "n": row.n,
        "planned": row.planned,
        "kinds": row.kinds_as_data,
        "records": [
            {
                "record": path_of(item),
                "variant": item.record.variant,
                "seed": item.record.seed,
                "values": _numbers(row, item),
                "version": item.record.version.model_dump(),
                "commit": item.record.code.commit,
                "uncommitted": item.record.code.dirty,
                "hardware": item.record.made_on[0],
                "precision": item.record.made_on[1],
                "differs": unlike_today(row, item),
            }
            for item in row.members
        ],
        "not counted": [path_of(item) for item in row.extra],
    }


def explain_cell(claim: Claim, name: str, stored: Sequence[Stored], scale: str) -> str:
    """Formula, values, records and provenance of every row of one question at a scale."""
    rows = rows_of(claim, name, stored, scale)
    return "\n\n".join("\n".join(_explain_row(row)) for row in rows)


def _explain_row(row: VerdictRow) -> list[str]:
    v = row.verdict
    lines = [
        f"{row.cell} at scale {row.scale}: {v.word} ({v.reason})",
        f"data: {row.data}; hardware: {row.hardware}; n {row.n} of {row.planned}",
        f"formula: {row.question.formula}",
    ]
    if v.effect is not None and v.low is not None and v.high is not None:
        lines.append(
            f"effect {v.effect:.4f}, 95 % interval [{v.low:.4f}, {v.high:.4f}]; "
            f"paper {row.question.paper_text}"
        )
    for item in row.members:
        r = item.record
        value = ", ".join(f"{name} {number}" for name, number in _numbers(row, item).items())
        dirty = " with uncommitted changes" if r.code.dirty else ""
        commit = f"commit {(r.code.commit or 'none')[:10]}{dirty}"
        made = f"training version {r.version.training}, " if r.version.training else ""
        lines.append(
            f"  {r.variant} seed {r.seed}: {value}; {made}{commit}; {', '.join(r.made_on)}; "
            f"{path_of(item)}"
        )
        lines += [f"    made from records/{part.record}" for part in r.made_from]
    unlike = Counter(line for item in row.members for line in unlike_today(row, item))
    lines += [
        f"  differs from a run made here today (informational): {line} ({n} records)"
        for line, n in unlike.items()
    ]
    lines += [f"  not counted: {path_of(item)}" for item in row.extra]
    return lines
