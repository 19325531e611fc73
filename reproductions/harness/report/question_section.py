"""What the report says of each trained question: its rule, its verdict, its arms and every run."""

import statistics

from reproductions.harness.claims.epoch_ratio import EpochRatio
from reproductions.harness.claims.questions import Question
from reproductions.harness.judge.rows import VerdictRow
from reproductions.harness.judge.sweep import best_rate, sweep_notes, sweep_table
from reproductions.harness.report.format import path_of, paths, table
from reproductions.harness.rule.text import interval, number


def section(row: VerdictRow, picture: str | None) -> list[str]:
    """The Markdown blocks of one verdict row on its claim's page, with `picture` among them."""
    question, v = row.scaled, row.verdict
    kind = "Sensitivity" if row.sensitivity else "Verdict"
    place = f" ({row.scale}; {row.data}; {row.hardware})" if row.members or row.extra else ""
    parts = [f"### {kind}: {question.text}{place}", f"Rule: {question.rule()}"]
    parts.append(f"**{row.word}** — {row.measured_text}. {v.reason[:1].upper()}{v.reason[1:]}.")
    if picture:
        parts.append(picture)
    if row.members:
        parts += [table(_arm_rows(row, question)), table(_run_rows(row, question))]
    if row.sweep and isinstance(question, EpochRatio):
        parts += [f"#### Learning rates of {question.name}", *_sweep_section(row, question)]
    if row.extra:
        parts.append(
            "Shown, not counted (repeats, seeds outside the plan or without a partner, outdated): "
            + paths(row.extra)
        )
    return parts


def _arm_rows(row: VerdictRow, question: Question) -> list[dict[str, str]]:
    """One line per arm and quantity: the mean over seeds with its interval."""
    lines = []
    for arm in question.arms:
        items = row.arm(arm.name)
        columns = [question.values(item) for item in items]
        for name in columns[0] if columns else ():
            values = [found for column in columns if (found := column[name]) is not None]
            lines.append(
                {
                    "Arm": arm.name,
                    "quantity": f"`{name}`",
                    "n": f"{len(values)} of {len(items)}",
                    "mean [95 %]": interval(values),
                    "sd": number(statistics.stdev(values)) if len(values) > 1 else "–",
                    "min–max": f"{min(values):.2f}–{max(values):.2f}" if values else "–",
                }
            )
    return lines


def _run_rows(row: VerdictRow, question: Question) -> list[dict[str, str]]:
    """One line per run with its numbers."""
    return [
        {
            "Arm": item.record.variant,
            "seed": str(item.record.seed),
            "rate": f"{item.record.recipe['learning_rate']:g}" if item.record.recipe else "–",
            "status": item.record.status,
            **{f"`{name}`": number(value) for name, value in question.values(item).items()},
            "minutes": f"{item.record.cost.wall_seconds / 60:.1f}",
            "record": f"`{path_of(item)}`",
        }
        for item in row.members
    ]


def _sweep_section(row: VerdictRow, question: EpochRatio) -> list[str]:
    sweep, tried = question.sweep, sweep_table(row, question)
    assert sweep is not None
    rows = []
    for arm in question.arms:
        rates, used = tried[arm.name], arm.recipe.learning_rate
        best = best_rate(rates)
        cells = {
            f"{rate:g}": ", ".join(map(str, rates.get(rate, []))) or "–" for rate in sweep.rates
        }
        chosen = {"best": "–" if best is None else f"{best:g}", "used": f"{used:g}"}
        rows.append({"Arm": arm.name, **cells, **chosen})
    lines = [f"- {note}" for note in sweep_notes(row, question)]
    head = (
        f"Epochs to {question.target:g} %, or the training error of the last pass after "
        f"{sweep.epochs} epochs where that came first; tuning seed "
        f"{', '.join(map(str, sweep.seeds))}, which never enters the verdict:"
    )
    return [head, table(rows), *(["\n".join(lines)] if lines else [])]
