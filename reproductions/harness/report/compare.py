"""Two sets of records beside each other: what `compare` prints."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reproductions.harness.claims.claim import Claim
from reproductions.harness.claims.question import Question
from reproductions.harness.judge.rows import VerdictRow, judge
from reproductions.harness.records.schema import Record
from reproductions.harness.records.store import Stored
from reproductions.harness.rule.effect import effect_of
from reproductions.harness.rule.text import interval


def compare_sets(
    claims: Sequence[Claim], ours: Sequence[Stored], theirs: Sequence[Stored]
) -> list[dict[str, Any]]:
    """By arm, two sets' epochs to the target, their ratio with a 95 % interval, and differences.

    Of each question the row with the most records is taken, also where the code has changed since.
    """
    rows = []
    for claim in claims:
        sides = [_largest(judge(claim, stored)) for stored in (ours, theirs)]
        for key in sides[0].keys() & sides[1].keys():
            rows += _compare_rows(sides[0][key], sides[1][key])
    return sorted(rows, key=lambda row: (row["cell"], row["scale"], row["arm"]))


def _made(row: VerdictRow) -> list[Stored]:
    """The runs of a row that were made for the verdict, counted or not."""
    return [
        *row.members,
        *(item for item in row.extra if item.record.purpose != "sweep" and not item.repeat),
    ]


def _largest(rows: Sequence[VerdictRow]) -> dict[tuple[str, str], VerdictRow]:
    best: dict[tuple[str, str], VerdictRow] = {}
    for row in rows:
        key = (row.cell, row.scale)
        if _made(row) and (key not in best or len(_made(row)) > len(_made(best[key]))):
            best[key] = row
    return best


def _compare_rows(a: VerdictRow, b: VerdictRow) -> list[dict[str, Any]]:
    rows = []
    for arm in [arm.name for arm in a.question.arms] or ["count"]:
        ours, theirs = (_by_quantity(side, arm) for side in (a, b))
        for name in dict.fromkeys([*ours, *theirs]):
            sides = ours.get(name, {}), theirs.get(name, {})
            values = [list(side.values()) for side in sides]
            rows.append(
                {
                    "cell": a.cell,
                    "scale": a.scale,
                    "arm": arm,
                    "quantity": name,
                    "ours": f"{interval(values[0])} (n={len(values[0])})",
                    "theirs": f"{interval(values[1])} (n={len(values[1])})",
                    "theirs against ours [95 %]": _apart(a.question, *sides),
                    "verdicts": f"{a.verdict.word} / {b.verdict.word}",
                    "differs in": "; ".join(provenance_differences(_made(a)[0], _made(b)[0]))
                    or "nothing recorded",
                }
            )
    return rows


def _by_quantity(row: VerdictRow, arm: str) -> dict[str, dict[int, float]]:
    found: dict[str, dict[int, float]] = {}
    for item in _made(row):
        if item.record.variant == arm:
            for name, value in row.scaled.values(item).items():
                mine = found.setdefault(name, {})
                if value is not None:
                    mine[item.record.seed] = value
    return found


def _apart(question: Question, ours: Mapping[int, float], theirs: Mapping[int, float]) -> str:
    """Theirs over ours, or minus ours, seed by seed, with the interval of the mean."""
    if not ours or not theirs:
        return "–"
    if not question.trained:
        return "equal" if ours == theirs else "different"
    pairs = [(ours[seed], theirs[seed]) for seed in sorted(ours.keys() & theirs.keys())]
    if len(pairs) < 2:
        return "fewer than two seeds in both"
    read: Callable[[float], float]
    if question.is_ratio:
        effect, read, sign = effect_of([math.log(y / x) for x, y in pairs]), math.exp, "×"
    else:
        effect, read, sign = effect_of([y - x for x, y in pairs]), float, ""
    low, high = map(read, effect.interval() or (math.nan, math.nan))
    return f"{read(effect.mean):.2f}{sign} [{low:.2f}, {high:.2f}]"


def provenance_differences(a: Stored, b: Stored) -> list[str]:
    """What two records do not share of data, code, machine and versions."""
    ours, theirs = map(_provenance, (a.record, b.record))
    names = [name for name in ours if ours[name] != theirs.get(name)]
    return [f"{name}: {ours[name]} → {theirs.get(name)}" for name in names]


def _provenance(record: Record) -> dict[str, Any]:
    machine = record.machine
    return {
        "data": record.data and f"{record.data.name} {record.data.fingerprint}",
        "version": record.version.model_dump(),
        "hardware": machine.hardware,
        "threads": machine.threads,
        "precision": machine.precision,
        **machine.versions,
    }
