"""A speed-up (Figure 1, §4.2): training error by epoch, the target, and the ratio of epochs."""

from typing import Any

from reproductions.harness.claims.epoch_ratio import EpochRatio
from reproductions.harness.judge.rows import VerdictRow
from reproductions.harness.report.figures import panels, words
from reproductions.harness.report.figures.figure import Figure, short
from reproductions.harness.report.figures.style import GREY, INK, Mark, look_of, mark

Points = list[tuple[float, float]]  # (epoch, error in percent)
LABELS = ("training error over the last pass (%)", "running training error (%)")


def curves(row: VerdictRow, question: EpochRatio) -> Figure:
    """Every counted run's curve, where each reaches the target, and the paper's crossings."""
    items = {
        variant.name: {str(item.record.seed): item for item in row.arm(variant.name)}
        for variant in question.arms
    }
    reached = {
        name: {seed: short(question.epochs(item)) for seed, item in runs.items()}
        for name, runs in items.items()
    }
    label = LABELS[row.is_read_by_row]
    fast, slow = reached.values()
    pairs = {seed: (slow[seed], fast[seed]) for seed in fast if seed in slow}
    numbers = {
        "title": words.title(row),
        "judged": words.judged(row),
        "target": question.target,
        "paper": question.paper_epochs,
        "label": label,
        "curves": {
            name: {seed: _rounded(question.curve(item)) for seed, item in runs.items()}
            for name, runs in items.items()
        },
        "reached": reached,
        "ratios": {seed: short(a / b) for seed, (a, b) in pairs.items() if a and b},
    }
    counts = " and ".join(f"{len(runs)} {words.network(name)}" for name, runs in items.items())
    text = (
        f"{question.text}: {words.measured(row)}, paper {words.paper(question)}; {label} against "
        f"epochs of {counts} runs, the target of {question.target:g} % as a line, and the ratio of "
        "epochs with its 95 % interval"
    )
    return Figure(
        numbers,
        text,
        draw_curves,
        words.RUN_COLUMNS,
        [*_rows(numbers), *words.judged_rows(row, "ratio")],
        source=words.source(row),
    )


def _rounded(curve: Points) -> Points:
    return [(round(epoch, 4), round(error, 4)) for epoch, error in curve]


def _rows(numbers: dict[str, Any]) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    target = f"epochs to {numbers['target']:g} %"
    for arm, runs in numbers["reached"].items():
        rows += [(arm, seed, target, "", "" if x is None else x) for seed, x in runs.items()]
    rows += [("", seed, "ratio", "", ratio) for seed, ratio in numbers["ratios"].items()]
    for arm, found in numbers["curves"].items():
        for seed, points in found.items():
            rows += [(arm, seed, numbers["label"], *point) for point in points]
    return rows


def draw_curves(numbers: dict[str, Any]) -> Any:
    """Training error by epoch beside the ratio."""
    figure = panels.titled(numbers, 430)
    left, right = figure.subplots(1, 2, width_ratios=(3.2, 1))
    names, target = list(numbers["curves"]), numbers["target"]
    for name, runs in numbers["curves"].items():
        _arm(left, name, list(runs.values()), look_of(names, name))
        for epochs in filter(None, numbers["reached"][name].values()):
            mark(left, epochs, target, Mark(look_of(names, name).colour, "|"), 14)
    label = f"the target, {target:g} % training error"
    left.axhline(target, color=INK, linestyle=":", linewidth=1.2, label=label)
    left.plot([], [], "|", color=GREY, ms=10, mew=1.5, label="each seed at the target")
    end = left.get_xlim()[1]
    for name, epochs in zip(names, numbers["paper"] or (), strict=False):
        look = Mark(look_of(names, name).colour, "D", filled=False)
        label = f"paper's {words.network(name)} curve: about {epochs:g} epochs"
        beyond = ", right of this axis" if epochs > end else ""
        mark(left, epochs, target, look, 9, label=label + beyond)
    left.set(xlabel="epochs", ylabel=numbers["label"], xlim=(0, end))
    left.legend(loc="upper right")
    label = "ratio of epochs to the target"
    panels.effect(right, numbers["judged"], list(numbers["ratios"].values()), label)
    return figure


def _arm(axes: Any, name: str, runs: list[Points], look: Mark) -> None:
    """Every run as a thin line, their mean as a thick one as far as all of them go."""
    for points in runs:
        axes.plot(*zip(*points, strict=True), color=look.colour, linewidth=0.7, alpha=0.6)
    shared = min(map(len, runs), default=0)
    means = [
        (runs[0][k][0], sum(points[k][1] for points in runs) / len(runs)) for k in range(shared)
    ]
    if means:
        label = f"{words.network(name)}, mean of {len(runs)} seeds"
        axes.plot(*zip(*means, strict=True), look.line, color=look.colour, linewidth=2, label=label)
