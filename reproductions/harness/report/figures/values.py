"""A printed number: every seed's, their mean with its interval, and the paper's."""

from typing import Any

from reproductions.harness.claims.question import value_of
from reproductions.harness.claims.questions import Value
from reproductions.harness.judge.rows import VerdictRow
from reproductions.harness.report.figures import panels, words
from reproductions.harness.report.figures.figure import Figure, short
from reproductions.harness.report.figures.style import LOG, PAPER, VERDICTS, mark


def value(row: VerdictRow, question: Value) -> Figure | None:
    """None where no run has the number."""
    items = row.arm(question.arm.name)
    values = {item.record.seed: value_of(item, question.metric) for item in items}
    found = {str(seed): short(value) for seed, value in values.items() if value is not None}
    if not found:
        return None
    numbers = {
        "title": words.title(row),
        "judged": words.judged(row),
        "metric": words.axis(question.metric),
        "seeds": found,
    }
    rows = [(question.arm.name, seed, question.metric, "", x) for seed, x in found.items()]
    text = (
        f"{question.text}: {row.measured_text} over {len(found)} seeds as dots, beside the paper's "
        f"{words.paper(question)}"
    )
    return Figure(
        numbers,
        text,
        draw_value,
        words.RUN_COLUMNS,
        [*rows, *words.judged_rows(row, question.metric)],
        source=words.source(row),
    )


def draw_value(numbers: dict[str, Any]) -> Any:
    """Two rows: what was measured, and what is printed."""
    figure = panels.titled(numbers, 170)
    axes, judged = figure.subplots(), numbers["judged"]
    look = VERDICTS.get(judged["word"], VERDICTS["–"])
    if judged["low"] is not None:
        axes.plot([judged["low"], judged["high"]], [1, 1], look.line, color=look.colour, lw=2.5)
    if judged["effect"] is not None:
        mark(axes, judged["effect"], 1, look, 10)
    for found in numbers["seeds"].values():
        mark(axes, found, 2, panels.SEED, 6)
    places = {2: "seeds", 1: "mean, 95 %"}
    for y, key, name, known in ((0, "paper", "paper", PAPER), (-1, "log", "2012 log", LOG)):
        if judged[key] is not None:
            mark(axes, judged[key], y, known, 8)
            places[y] = name
    axes.set(ylim=(min(places) - 0.6, 2.6), xlabel=numbers["metric"])
    axes.set_yticks(list(places), list(places.values()))
    axes.grid(axis="x", color="#e2e2e2")
    axes.set_axisbelow(True)
    axes.margins(x=0.08)
    return figure
