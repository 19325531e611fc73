"""What a claim's page says of each trained question: its verdict, rule, arms and every run."""

import math

from reproductions.harness.claims.epoch_ratio import EpochRatio
from reproductions.harness.claims.question import Question
from reproductions.harness.judge.rows import VerdictRow
from reproductions.harness.judge.sweep import best_rate, sweep_notes, sweep_table
from reproductions.harness.report.arms import SPREAD, arm_rows, better_without
from reproductions.harness.report.format import path_of, paths, table
from reproductions.harness.report.sampling import papers_telescope
from reproductions.harness.report.words import bold_word, chance
from reproductions.harness.rule.power import MOST_SEEDS, seeds_needed
from reproductions.harness.rule.text import number


def section(row: VerdictRow, picture: str | None) -> list[str]:
    """The Markdown blocks of one verdict row on its claim's page, with `picture` among them."""
    question = row.scaled
    parts = [
        f"## {heading(question.text)}",
        _place(row),
        _sentence(row),
        f"Rule: {question.rule()}",
    ]
    parts += filter(None, [papers_telescope(row.claim, question), picture])
    if row.members:
        arms = arm_rows(row)
        intervals = sum("[" in line["mean [95 %]"] for line in arms)
        floor = FLOOR * any("(" in line[SPREAD] for line in arms)
        parts += ["### Arms", table(arms), f"{chance(intervals, 'miss the true mean')}{floor}"]
        parts += ["### Runs", table(_run_rows(row, question))]
    if row.sweep and isinstance(question, EpochRatio):
        parts += ["### Learning rates", *_sweep_section(row, question)]
    if row.extra:
        parts.append(
            "Shown, not counted (repeats, seeds outside the plan or without a partner, outdated): "
            + paths(row.extra)
        )
    return parts


FLOOR = (
    " The noise floor is the sd over seeds that the finite set of test images alone would cause."
)


def heading(text: str) -> str:
    """A text with a capital, unless it begins with a name such as fc7."""
    first = text.partition(" ")[0]
    return f"{text[:1].upper()}{text[1:]}" if first.isalpha() or "-" in first else text


def _place(row: VerdictRow) -> str:
    """The row's name and what it was measured on."""
    where = f", {row.data}, {row.hardware}" if row.members or row.extra else ""
    return f"`{row.cell}`: scale `{row.scale}`, {row.n} of {row.planned} seeds{where}."


def _sentence(row: VerdictRow) -> str:
    """The verdict with its numbers and its reason."""
    v, question = row.verdict, row.question
    log = "" if question.log_2012 is None else f", 2012 log {question.log_text}"
    numbers = f"{row.measured_text} (paper {question.paper_text}{log}). " if row.members else ""
    # of a claim on overfitting the reason says it
    better = "" if getattr(question, "gate", "") == "overfits" else better_without(row)
    also = f" The network is better on the test images without it: {better}." if better else ""
    reason = f"{v.reason[:1].upper()}{v.reason[1:]}"
    return f"{bold_word(row)}: {numbers}{reason}.{also}{_seeds_to_decide(row)}"


def _seeds_to_decide(row: VerdictRow) -> str:
    """Of an interval that contains zero: the seeds that would see the smallest of interest."""
    effect, asked = row.verdict.measured, getattr(row.scaled, "asked", None)
    spread = effect is not None and effect.whole == effect.n > 1 and effect.sd > 0
    if row.verdict.word != "undecided" or not spread or asked is None:
        return ""
    assert effect is not None
    least = math.log(asked.least) if asked.ratio else asked.least
    seeds = seeds_needed(effect.sd, least)
    many = f"{seeds:,}" if seeds < MOST_SEEDS else f"more than {MOST_SEEDS:,}"
    return (
        f" To see {asked.least:g}{row.scaled.unit_text} with a power of 80 % takes about {many} "
        f"seeds, by the spread of these {effect.n}."
    )


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
            "commit": (item.record.code.commit or "none")[:10],
            "files": f"[record](../{path_of(item)})",
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
