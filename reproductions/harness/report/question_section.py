"""What the report says of each trained question: its rule, its verdict, its arms and every run."""

import math
import statistics

from reproductions.harness.claims.claim import Difference, Exact, SpeedUp, Trained, Value, at_scale
from reproductions.harness.judge.rows import (
    SweepPoint,
    VerdictRow,
    best_rate,
    epochs_of,
    sweep_table,
    values_of,
)
from reproductions.harness.report.format import (
    interval,
    measured,
    number,
    path_of,
    paths,
    table,
    unit_of,
)


def section(row: VerdictRow, picture: str | None) -> list[str]:
    """The Markdown blocks of one verdict row on its claim's page, with `picture` among them."""
    assert not isinstance(row.question, Exact)
    question, v = at_scale(row.claim, row.question, row.scale), row.verdict
    kind = "Sensitivity" if row.sensitivity else "Verdict"
    place = f" ({row.scale}; {row.data}; {row.hardware})" if row.members or row.extra else ""
    parts = [f"### {kind}: {question.text}{place}", _rule(row, question)]
    line = f"**{v.word}** — {measured(row)}. {v.reason[:1].upper()}{v.reason[1:]}."
    if v.prediction:
        low, high = v.prediction
        line += (
            f" One more run per arm would give one in [{low:.2f}, {high:.2f}] (95 % prediction "
            "interval)."
        )
    parts.append(line)
    if picture:
        parts.append(picture)
    if row.members:
        if isinstance(question, SpeedUp):
            parts += [
                table([_arm_row(row, variant.name) for variant in question.variants]),
                table(_seed_rows(row)),
            ]
        else:
            parts += [table(_metric_rows(row)), table(_run_rows(row))]
    if row.sweep:
        parts += [f"#### Learning rates of {question.name}", *_sweep_section(row)]
    if row.extra:
        parts.append(
            "Shown, not counted (repeats, seeds outside the plan or without a partner, stale): "
            + paths(row.extra)
        )
    return parts


def _rule(row: VerdictRow, question: Trained) -> str:
    if isinstance(question, Value):
        return (
            f"Rule: {row.planned} seeds; the paper's number is "
            f"{question.paper:g}{unit_of(question)}; `{question.metric}`."
        )
    rule = (
        f"Rule: {row.planned} seeds per arm; the smallest effect of interest is "
        f"{question.min_effect:g}{unit_of(question)}"
    )
    rule += (
        "; the paper gives a direction alone"
        if question.paper is None
        else f", the paper's is {question.paper:g}{unit_of(question)}"
    )
    if isinstance(question, SpeedUp):
        budget = question.fast.recipe.epochs
        return (
            f"{rule}; a run that has not reached {question.target:g} % training error in {budget} "
            "epochs is censored."
        )
    lower, higher = question.metrics
    metrics = f"`{lower}`" if lower == higher else f"`{higher}` minus `{lower}`, run by run"
    arms = " minus ".join(f"`{variant.name}`" for variant in reversed(question.variants))
    return f"{rule}; {metrics}, {arms}."


def _metric_rows(row: VerdictRow) -> list[dict[str, str]]:
    """One line per arm and metric: the mean over seeds with its interval."""
    assert isinstance(row.question, Difference | Value)
    lines = []
    for variant in row.question.variants:
        for metric in dict.fromkeys(row.question.metrics):
            values = values_of(row.arm(variant.name), metric)
            sd = number(statistics.stdev(values)) if len(values) > 1 else "–"
            span = f"{min(values):.2f}–{max(values):.2f}" if values else "–"
            arm = {
                "Arm": variant.name,
                "metric": f"`{metric}`",
                "n": str(len(values)),
                "mean [95 %]": interval(values),
            }
            lines.append({**arm, "sd": sd, "min–max": span})
    return lines


def _run_rows(row: VerdictRow) -> list[dict[str, str]]:
    """One line per run with its metrics."""
    assert isinstance(row.question, Difference | Value)
    return [
        {
            "Arm": item.record.variant,
            "seed": str(item.record.seed),
            "status": item.record.status,
            **{
                f"`{name}`": ", ".join(number(value) for value in values_of([item], name)) or "–"
                for name in row.question.metrics
            },
            "minutes": f"{item.record.cost.wall_seconds / 60:.1f}",
            "record": f"`{path_of(item)}`",
        }
        for item in row.members
    ]


def _arm_row(row: VerdictRow, variant: str) -> dict[str, str]:
    items = row.arm(variant)
    assert isinstance(row.question, SpeedUp)
    epochs = [e for e in epochs_of(items, row.target) if e is not None]
    errors = [
        m.value
        for item in items
        if (m := item.record.metrics.get("test_error")) and m.value is not None
    ]
    speed = [
        item.record.cost.images_per_second for item in items if item.record.cost.images_per_second
    ]
    diverged = sum(item.record.status == "diverged" for item in items)
    return {
        "Arm": variant,
        "rate": f"{items[0].record.recipe['learning_rate']:g}" if items else "–",
        "n": str(len(items)),
        "epochs to target, mean [95 %]": interval(epochs),
        "sd": number(statistics.stdev(epochs)) if len(epochs) > 1 else "–",
        "min–max": f"{min(epochs):.2f}–{max(epochs):.2f}" if epochs else "–",
        "censored": str(len(items) - len(epochs) - diverged),
        "diverged": str(diverged),
        "test error at the end (%)": interval(errors),
        "images/s (median)": number(statistics.median(speed), 0) if speed else "–",
    }


def _seed_rows(row: VerdictRow) -> list[dict[str, str]]:
    return [
        {
            "Arm": item.record.variant,
            "seed": str(item.record.seed),
            "status": item.record.status,
            "epochs to target": number(epochs_of([item], row.target)[0]),
            "test error (%)": number(m.value)
            if (m := item.record.metrics.get("test_error"))
            else "–",
            "minutes": f"{item.record.cost.wall_seconds / 60:.1f}",
            "attempts": str(item.record.cost.attempts),
            "record": f"`{path_of(item)}`",
        }
        for item in row.members
    ]


def _sweep_section(row: VerdictRow) -> list[str]:
    question = row.question
    assert isinstance(question, SpeedUp)
    scaled = at_scale(row.claim, question, row.scale)
    assert isinstance(scaled, SpeedUp)
    assert scaled.sweep is not None
    sweep, tried = scaled.sweep, sweep_table(row)
    rows, lines = [], []
    for variant in question.variants:
        rates, used = tried[variant.name], variant.recipe.learning_rate
        best = best_rate(rates)
        cells = {
            f"{rate:g}": ", ".join(_tuned(run) for run in rates.get(rate, [])) or "–"
            for rate in sweep.rates
        }
        rows.append(
            {
                "Arm": variant.name,
                **cells,
                "best": "–" if best is None else f"{best:g}",
                "used": f"{used:g}",
            }
        )
        if best is not None and best != used:
            lines.append(
                f"- The rate used for {variant.name}, {used:g}, is not this sweep's best, {best:g}."
            )
        if best in (sweep.rates[0], sweep.rates[-1]):
            lines.append(
                f"- The best rate of {variant.name}, {best:g}, lies on the edge of the grid: a "
                "better one may lie beyond."
            )
    made, asked = (
        sum(len(runs) for rates in tried.values() for runs in rates.values()),
        2 * len(sweep.rates) * len(sweep.seeds),
    )
    if made < asked:
        lines.append(
            f"- {asked - made} of {asked} tuning runs have no record; the rates used were chosen "
            "from those that have."
        )
    head = (
        f"Epochs to {question.target:g} %, or the training error after {sweep.epochs} epochs where "
        f"that came first; tuning seed {', '.join(map(str, sweep.seeds))}, which never enters the "
        "verdict:"
    )
    return [head, table(rows), *(["\n".join(lines)] if lines else [])]


def _tuned(run: SweepPoint) -> str:
    if run.epochs is not None:
        return f"{run.epochs:.2f} epochs"
    return "diverged" if math.isinf(run.error) else f"{run.error:.1f} %"
