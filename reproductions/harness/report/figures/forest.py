"""All empirical questions with records in one picture: the paper's number and the measured one."""

import math
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from reproductions.harness.judge.rows import VerdictRow
from reproductions.harness.report.figures import style, words
from reproductions.harness.report.figures.figure import Figure
from reproductions.harness.report.figures.panels import ratio_ticks
from reproductions.harness.report.figures.style import LOG, PAPER, VERDICTS, Mark, mark
from reproductions.harness.report.order import in_paper_order

# Pixels: where the axes begin and end, where the numbers begin, and heights.
LEFT, RIGHT, BESIDE = 366, 676, 694
LINE, SPARE, HEAD, FOOT, LEGEND = 18, 14, 34, 40, 25
LETTERS = 43  # of a line of a question
UNITS = {
    "×": "Ratios (right of 1: the paper's direction)",
    "points": "Differences in points (right of 0: the paper's direction)",
    "percent": "Printed errors in percent (scales below paper: other images)",
}
COLUMNS = (
    *("question", "section", "text", "unit", "paper", "log_2012", "measured", "low", "high"),
    *("verdict", "scale", "images", "n", "planned"),
)


def forest(rows: Sequence[VerdictRow]) -> Figure | None:
    """A line per trained question with a number and a word, in the paper's order; or None."""
    shown = in_paper_order(list(filter(_is_shown, rows)))
    lines = [_line(row) for row in shown]
    if not lines:
        return None
    units = [*UNITS, *sorted({line["unit"] for line in lines} - UNITS.keys())]
    numbers = {
        "panels": [
            {"unit": unit, "lines": mine}
            for unit in units
            if (mine := [line for line in lines if line["unit"] == unit])
        ]
    }
    counts = Counter(map(_word, shown))
    said = ", ".join(f"{count} {word}" for word, count in counts.items())
    return Figure(
        numbers,
        f"{len(shown)} questions, a line each: the paper's number and the measured one with its "
        f"95 % interval; {said}. The tables below have the same numbers",
        draw_forest,
        COLUMNS,
        [_csv_row(row) for row in shown],
    )


def _is_shown(row: VerdictRow) -> bool:
    has_number = row.question.trained and row.verdict.effect is not None
    return has_number and row.verdict.word != "–"


def _word(row: VerdictRow) -> str:
    return {"–": "not judged"}.get(row.verdict.word, row.word)


def _line(row: VerdictRow) -> dict[str, Any]:
    count = f"n = {row.n}" if row.n == row.planned else f"n = {row.n} of {row.planned}"
    count = count.replace(" ", "\N{NO-BREAK SPACE}")
    apart = " (sensitivity, asked apart)" if row.sensitivity else ""
    label = textwrap.wrap(f"{row.claim.section}: {row.question.text}{apart}", LETTERS)
    paper = words.paper(row.question).removesuffix(" points")
    return {
        **words.judged(row),
        "label": label,
        "beside": [
            f"{words.measured(row)}; paper {paper}",
            *textwrap.wrap(f"{_word(row)}; scale {row.scale}, {count}", LETTERS - 3),
        ],
    }


def _csv_row(row: VerdictRow) -> list[object]:
    found = words.judged(row)
    numbers = [found[key] for key in ("paper", "log", "effect", "low", "high")]
    return [
        *(row.cell, row.claim.section, row.question.text, found["unit"], *numbers),
        *(row.word, row.scale, words.images(row), row.n, row.planned),
    ]


def draw_forest(numbers: dict[str, Any]) -> Any:
    """Panels below each other, laid out in pixels, and the legend of the words used."""
    parts = numbers["panels"]
    heights = [sum(map(_height, part["lines"])) for part in parts]
    used = list(dict.fromkeys(line["word"] for part in parts for line in part["lines"]))
    log = any(line["log"] is not None for part in parts for line in part["lines"])
    legend = LEGEND * -(-(2 + log + len(used)) // 4) + 16
    height = sum(heights) + len(parts) * (HEAD + FOOT) + legend
    figure = style.sheet(height)
    page = figure.add_axes((0, 0, 1, 1), xlim=(0, style.WIDTH), ylim=(height, 0))
    page.axis("off")
    top = 0
    for part, tall in zip(parts, heights, strict=True):
        title = UNITS.get(part["unit"], part["unit"])
        page.text(10, top + HEAD / 2, title, va="center", weight="bold", fontsize=10)
        page.text(BESIDE, top + HEAD / 2, "measured [95 %]; paper", va="center", fontsize=9)
        box = (LEFT, height - top - HEAD - tall, RIGHT - LEFT, tall)
        axes = figure.add_axes(_share(box, height), ylim=(tall, 0), facecolor="none")
        _panel(page, axes, part["lines"], top + HEAD)
        top += HEAD + tall + FOOT
    beyond = any(map(_is_cut, parts))
    _legend(figure, used, log, beyond)
    return figure


def _share(box: tuple[float, float, float, float], height: float) -> tuple[float, ...]:
    x, y, wide, tall = box
    return x / style.WIDTH, y / height, wide / style.WIDTH, tall / height


def _height(line: Mapping[str, Any]) -> int:
    return LINE * max(len(line["label"]), len(line["beside"])) + SPARE


def _panel(page: Any, axes: Any, lines: Sequence[Mapping[str, Any]], top: float) -> None:
    """The lines of one unit: text on the page, marks on the axes."""
    low, high = limits(lines)
    if lines[0]["ratio"]:
        axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set(yticks=[])
    axes.spines["left"].set_visible(False)
    if lines[0]["unit"] != "percent":
        axes.axvline(lines[0]["zero"], color=style.INK, linewidth=1)
    y = 0.0
    for k, line in enumerate(lines):
        tall = _height(line)
        middle = y + tall / 2
        if k % 2 == 0:
            page.axhspan(top + y, top + y + tall, color=style.PALE, linewidth=0, zorder=0)
        _write(page, 10, top + middle, line["label"])
        _write(page, BESIDE, top + middle, line["beside"])
        _measured(axes, line, middle, (low, high))
        y += tall
    if lines[0]["ratio"]:
        ratio_ticks(axes.xaxis, (low, high))
    else:
        axes.xaxis.set_major_formatter("{x:g}")


def _write(page: Any, x: float, middle: float, lines: Sequence[str]) -> None:
    for k, text in enumerate(lines):
        y = middle + LINE * (k - (len(lines) - 1) / 2)
        page.text(x, y, text, va="center", fontsize=9, parse_math=False)


def _measured(axes: Any, line: Mapping[str, Any], y: float, limits: tuple[float, float]) -> None:
    """The interval, an arrow at an end that lies beyond the axis, and all marks of a line."""
    look = VERDICTS.get(line["word"], VERDICTS["–"])
    if line["low"] is not None and line["high"] is not None:
        ends = max(line["low"], limits[0]), min(line["high"], limits[1])
        axes.plot(ends, [y, y], look.line, color=look.colour, linewidth=2.2, solid_capstyle="butt")
        for end, there, arrow in zip(ends, (line["low"], line["high"]), (4, 5), strict=True):
            if end != there:
                mark(axes, end, y, Mark(look.colour, arrow), 9, clip_on=False)
    for key, known, shift in (("paper", PAPER, -13), ("log", LOG, 13)):
        if line[key] is not None:
            mark(axes, line[key], y + shift, known, 6)
    if line["effect"] is not None:
        mark(axes, line["effect"], y, look, 7)


def limits(lines: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """An axis that has every mark, and the intervals as far as they are not absurdly wide."""
    log = lines[0]["ratio"]
    read, write = (math.log, math.exp) if log else (float, float)
    keys = ("effect", "paper", "log", *(() if lines[0]["unit"] == "percent" else ("zero",)))
    marks = [read(line[key]) for line in lines for key in keys if line[key] is not None]
    low, high = min(marks), max(marks)
    spare = max(high - low, 0.1 if log else 1.0) * 0.6
    ends = [line[key] for line in lines for key in ("low", "high") if line[key] is not None]
    known = [read(end) for end in ends if math.isfinite(end) and not (log and end <= 0)]
    known = [end for end in known if low - spare <= end <= high + spare]
    low, high = min([low, *known]), max([high, *known])
    if high == low:  # one number alone
        low, high = low - 1, high + 1
    return write(low - 0.05 * (high - low)), write(high + 0.05 * (high - low))


def _is_cut(part: Mapping[str, Any]) -> bool:
    """Whether an interval of a panel goes on beyond the axis."""
    low, high = limits(part["lines"])
    ends = [(line["low"], line["high"]) for line in part["lines"] if line["low"] is not None]
    return any(first < low or last > high for first, last in ends)


def _legend(figure: Any, used: Sequence[str], log: bool, beyond: bool) -> None:
    """What the marks mean, in two blocks at the foot."""
    from matplotlib.lines import Line2D  # noqa: PLC0415 - slow to import

    def entry(look: Mark, text: str, line: Any) -> Any:
        shown: dict[str, Any] = {"markerfacecolor": look.face, "markeredgewidth": 1.5}
        shown |= {"color": look.colour, "marker": look.marker, "markersize": 8}
        return Line2D([], [], linestyle=line, label=text, **shown)

    marks = [entry(PAPER, "the paper's number", "none")]
    marks += [entry(LOG, "that of the 2012 logs", "none")] if log else []
    marks += [entry(Mark(style.GREY, 5), "the interval goes on", "-")] * beyond
    names = {"–": "measured, not judged"}
    verdicts = [
        entry(VERDICTS.get(word, VERDICTS["–"]), names.get(word, word), "-")
        for word in sorted(used, key=list(VERDICTS).index)
    ]
    options = {"ncols": 4, "columnspacing": 1.6, "handlelength": 2.6, "numpoints": 1}
    figure.legend(handles=[*marks, *verdicts], loc="lower left", bbox_to_anchor=(0, 0), **options)
