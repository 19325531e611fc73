"""The panels that several figures share: title, judged effect, runs in pairs, errors by epoch."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from reproductions.harness.report.figures import style
from reproductions.harness.report.figures.style import LOG, PAPER, VERDICTS, Mark, mark

LINE = 21  # pixels of a line of a title
Curve = Sequence[Sequence[float]]  # (epoch, value)


def titled(numbers: Mapping[str, Any], height: float) -> Any:
    """An empty figure with its title at the top; `height` is that of the panels, in pixels."""
    lines: list[str] = numbers["title"]
    top = LINE * len(lines) + 14
    figure = style.sheet(height + top, layout="constrained")
    figure.get_layout_engine().set(rect=(0, 0, 1, height / (height + top)), w_pad=0.08, h_pad=0.06)
    heading(figure, lines, height + top)
    return figure


def heading(figure: Any, lines: Sequence[str], height: float) -> None:
    """A title at the top left: what is asked in bold, then of what, and the answer."""
    for k, line in enumerate(lines):
        bold = "bold" if k < len(lines) - 2 else "normal"
        y = 1 - (10 + LINE * k) / height
        figure.text(0.012, y, line, va="top", weight=bold, fontsize=10, parse_math=False)


def effect(axes: Any, judged: Mapping[str, Any], values: Sequence[float], label: str) -> None:
    """The judged number with its interval, every seed's, the paper's and what no effect is."""
    look = VERDICTS.get(judged["word"], VERDICTS["–"])
    axes.axhline(judged["zero"], color=style.INK, linewidth=1)
    if judged["ratio"]:
        axes.set_yscale("log")
    for k, value in enumerate(values):
        mark(axes, -0.5 + 0.1 * (k - (len(values) - 1) / 2), value, SEED, 6)
    interval(axes, judged, look)
    if judged["effect"] is not None:
        mark(axes, 0, judged["effect"], look, 10)
    names = {-0.5: "seeds", 0.0: "mean"}
    for key, known, x in (("paper", PAPER, 0.5), ("log", LOG, 1.0)):
        if judged[key] is not None:
            mark(axes, x, judged[key], known, 9)
            names[x] = key
    axes.set(xlim=(-0.9, max(names) + 0.4), xlabel="bar: 95 % interval", ylabel=label)
    axes.set_xticks(list(names), list(names.values()))
    axes.tick_params(axis="x", length=0)
    axes.spines["bottom"].set_visible(False)
    if judged["ratio"]:
        ratio_ticks(axes.yaxis, axes.get_ylim())


SEED = Mark(style.GREY, "o", filled=False)


def interval(axes: Any, judged: Mapping[str, Any], look: Mark) -> None:
    """The interval upright at 0, an arrow where an end is open."""
    if judged["low"] is None or judged["high"] is None:
        return
    known = [value for value in (judged["low"], judged["high"]) if _closed(judged, value)]
    known = [*known, *([judged["effect"]] if len(known) < 2 else [])]
    axes.plot([0, 0], [min(known), max(known)], look.line, color=look.colour, linewidth=2.5)
    for value, arrow in ((judged["low"], 7), (judged["high"], 6)):  # a caret down, a caret up
        if _closed(judged, value):
            axes.plot([-0.08, 0.08], [value, value], color=look.colour, linewidth=2.5)
        else:
            mark(axes, 0, judged["effect"], Mark(look.colour, arrow), 22)


def _closed(judged: Mapping[str, Any], value: float) -> bool:
    return math.isfinite(value) and not (judged["ratio"] and value == 0)


def ratio_ticks(axis: Any, limits: tuple[float, float]) -> None:
    """Plain numbers on a logarithmic axis."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator  # noqa: PLC0415

    steps = (1, 1.5, 2, 3, 4, 6, 8, 10) if limits[1] / limits[0] < 20 else (1, 2, 5, 10)
    places = sorted({step * 10.0**power for power in range(-3, 4) for step in steps})
    axis.set_major_locator(FixedLocator(places))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def paired(
    axes: Any, pairs: Sequence[Sequence[float]], looks: Sequence[Mark], names: Sequence[str]
) -> None:
    """Each seed's two values, joined by a line, and the means of both sides."""
    for pair in pairs:
        axes.plot([0, 1], pair, color=style.GREY, linewidth=0.9)
        for x, (value, look) in enumerate(zip(pair, looks, strict=True)):
            mark(axes, x, value, look, 7)
    for x, look in enumerate(looks):
        mean = sum(pair[x] for pair in pairs) / len(pairs)
        outside = (-0.3, -0.14) if x == 0 else (1.14, 1.3)
        axes.plot(outside, [mean, mean], color=look.colour, linewidth=2.5)
    axes.set(xlim=(-0.5, 1.5), xlabel="a line per seed; bars: means")
    axes.set_xticks([0, 1], [textwrap.fill(name, 12) for name in names])
    axes.margins(y=0.1)


def by_epoch(axes: Any, curves: Sequence[Curve], look: Mark, name: str) -> None:
    """The mean of several runs' curves, and between which values they lie."""
    shared = min(map(len, curves))
    epochs = [point[0] for point in curves[0][:shared]]
    values = [[curve[k][1] for curve in curves] for k in range(shared)]
    low, high = [min(v) for v in values], [max(v) for v in values]
    axes.fill_between(epochs, low, high, color=look.colour, alpha=0.2, linewidth=0)
    means = [sum(v) / len(v) for v in values]
    axes.plot(epochs, means, look.line, color=look.colour, linewidth=2, label=name)
