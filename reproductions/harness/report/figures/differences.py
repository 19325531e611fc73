"""A difference: both arms of every seed, the judged number, and the test error by epoch."""

from typing import Any

from reproductions.harness.claims.question import by_seed, value_of
from reproductions.harness.claims.questions import Difference
from reproductions.harness.judge.rows import VerdictRow
from reproductions.harness.records.store import Stored
from reproductions.harness.report.figures import panels, words
from reproductions.harness.report.figures.figure import Figure, short
from reproductions.harness.report.figures.style import look_of


def difference(row: VerdictRow, question: Difference) -> Figure | None:
    """None where no pair of runs has both numbers."""
    names, (less, metric) = [arm.name for arm in question.arms], question.metrics
    pairs = {}
    for runs in by_seed(words.arms_of(row, question)):
        both = short(value_of(runs[0], less)), short(value_of(runs[-1], metric))
        if None not in both:
            pairs[str(runs[0].record.seed)] = both
    if not pairs:
        return None
    numbers: dict[str, Any] = {
        "title": words.title(row),
        "judged": words.judged(row),
        "unit": question.unit,
        "metric": words.axis(metric),
        "arms": names,
        "sides": _sides(question),
        "pairs": pairs,
        "epochs": {name: _errors(row.arm(name)) for name in names} if len(names) > 1 else {},
    }
    first, second = numbers["sides"]
    text = (
        f"{question.text}: {words.measured(row)} {question.unit}, paper {words.paper(question)}; "
        f"{first} and {second} as two points per seed joined by a line, the difference with its "
        "95 % interval"
        + ("" if len(names) == 1 else ", and both networks' test error against epochs")
    )
    return Figure(
        numbers,
        text,
        draw_difference,
        words.RUN_COLUMNS,
        [*_rows(numbers, question), *words.judged_rows(row, "difference")],
        source=words.source(row),
    )


def _sides(question: Difference) -> list[str]:
    """What the two values of a seed are called."""
    if len(question.arms) == 1:
        return [words.called(metric) for metric in question.metrics]
    return [words.network(arm.name) for arm in question.arms]


def _errors(items: list[Stored]) -> dict[str, list[tuple[float, float]]]:
    """The test error per epoch of each run that stored it, by seed."""
    found = {}
    for item in items:
        rows = item.histories()[0] if item.record.kind != "ensemble" else []
        points = [
            (round(row["epoch"], 4), round(row["validation_error"], 4))
            for row in rows
            if "validation_error" in row
        ]
        if points:
            found[str(item.record.seed)] = points
    return found


def _rows(numbers: dict[str, Any], question: Difference) -> list[tuple[object, ...]]:
    arms = [question.arms[0].name, question.arms[-1].name]
    rows: list[tuple[object, ...]] = []
    for seed, pair in numbers["pairs"].items():
        rows += [
            (arm, seed, metric, "", value)
            for arm, metric, value in zip(arms, question.metrics, pair, strict=True)
        ]
        rows += [("", seed, "difference", "", short(pair[1] - pair[0]))]
    for arm, runs in numbers["epochs"].items():
        for seed, points in runs.items():
            rows += [(arm, seed, "validation_error", *point) for point in points]
    return rows


def draw_difference(numbers: dict[str, Any]) -> Any:
    """Two or three panels side by side: pairs, effect, and errors by epoch."""
    curves = {arm: list(runs.values()) for arm, runs in numbers["epochs"].items() if runs}
    figure = panels.titled(numbers, 340)
    if not curves:
        draw_pair(figure.subplots(1, 2), numbers)
        return figure
    *two, right = figure.subplots(1, 3, width_ratios=(1, 1, 1.3))
    draw_pair(two, numbers)
    for arm, runs in curves.items():
        look = look_of(numbers["arms"], arm)
        panels.by_epoch(right, runs, look, words.network(arm))
    right.set(xlabel="epochs (bands: all seeds)", ylabel="test error by epoch (%)")
    right.legend()
    return figure


def draw_pair(two: Any, numbers: dict[str, Any]) -> None:
    """On two axes both values of every seed, and their difference."""
    left, right = two
    names, pairs = numbers["arms"], list(numbers["pairs"].values())
    looks = [look_of(names, name) for name in (names[0], names[-1])]
    panels.paired(left, pairs, looks, numbers["sides"])
    left.set_ylabel(numbers["metric"])
    differences = [second - first for first, second in pairs]
    panels.effect(right, numbers["judged"], differences, f"difference ({numbers['unit']})")
