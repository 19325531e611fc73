"""Figure 4 of one run: test images, their most probable classes, and nearest training images."""

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reproductions.harness.claims.questions import Difference
from reproductions.harness.judge.rows import VerdictRow
from reproductions.harness.records.examples import (
    NEAREST,
    SIDE,
    Example,
    Examples,
    cut,
    read_examples,
)
from reproductions.harness.records.files import naming
from reproductions.harness.report.figures import panels, style, words
from reproductions.harness.report.figures.differences import difference
from reproductions.harness.report.figures.figure import Figure
from reproductions.harness.report.format import path_of

# Pixels: the edge, the side of a test image, the bars' left end, full length and distance
EDGE, LARGE, LEFT, BARS, BAR = 12, 2 * SIDE, 154, 270, 26
TOP, ROW, SECOND = 130, 164, SIDE + 4  # the first row's top, a row's height, the second strip
PLACES = tuple(564 + k * (SIDE + 8) for k in range(NEAREST))  # the neighbours' left edges
# light, since names are written on them: another class, the right one
OTHER, RIGHT = "#dddddd", "#a9d4ee"
LONGEST = 28  # letters of a class name that fit
COLUMNS = ("image", "label", "list", "rank", "class", "probability")


def examples(row: VerdictRow, question: Difference) -> Figure | None:
    """Test images of the first run that has them; without any, the difference that is judged."""
    for item in row.arm(question.arms[-1].name):
        with naming(path_of(item)):
            found = read_examples(item.folder)
        if found:
            return _figure(row, question, *found, path_of(item))
    return difference(row, question)


def _figure(
    row: VerdictRow, question: Difference, shown: Examples, sheet: bytes, record: str
) -> Figure:
    numbers = {
        "examples": shown.model_dump(),
        "sheet": base64.b64encode(sheet).decode(),
        "title": words.title(row),
    }
    caption = (
        f"Record `{record}`, scale {row.scale}. The test images are evenly spread over the split. "
        f"Bars are probabilities averaged over {shown.views} crops, to the scale of the largest. "
        f"Neighbours are the nearest (Euclidean) of {shown.among:,} training images, in central "
        "crops. ✓ is the test image's own class. The judged number is of many more test images."
    )
    return Figure(
        numbers,
        f"{question.text}: {'; '.join(map(_in_words, shown.images))}",
        draw_examples,
        COLUMNS,
        [line for k, example in enumerate(shown.images, 1) for line in _rows(k, example)],
        caption,
        words.source(row),
        svg=False,
    )


def _rows(image: int, example: Example) -> list[tuple[object, ...]]:
    lists = (("fc7 neighbour", example.by_features), ("pixel neighbour", example.by_pixels))
    guesses = [
        (image, example.label, "prediction", k, guess.name, guess.probability)
        for k, guess in enumerate(example.best, 1)
    ]
    return guesses + [
        (image, example.label, name, k, label, "")
        for name, found in lists
        for k, label in enumerate(found, 1)
    ]


def _in_words(example: Example) -> str:
    best, (by_features, by_pixels) = example.best[0], example.alike
    place = next(
        (str(k) for k, guess in enumerate(example.best, 1) if guess.name == example.label), "no"
    )
    return (
        f"{example.label}, taken for {best.name} ({100 * best.probability:.0f} %), itself guess "
        f"{place} of {len(example.best)}, neighbours alike {by_features} of {NEAREST} by features "
        f"and {by_pixels} by pixels"
    )


def draw_examples(numbers: dict[str, Any]) -> Any:
    """Figure 4 as matplotlib's Figure, laid out in pixels, so that no photograph is resampled."""
    shown = Examples.model_validate(numbers["examples"]).images
    top = TOP + panels.LINE * (len(numbers["title"]) - 3)
    height = top + ROW * len(shown)
    figure = style.sheet(height)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    _photographs(axes, cut(base64.b64decode(numbers["sheet"])), top, height)
    longest = max(guess.probability for example in shown for guess in example.best) or 1.0
    for k, example in enumerate(shown):
        _guesses(axes, example, top + ROW * k, longest)
        _neighbours(axes, example, top + ROW * k)
    alike = [sum(example.alike[k] for example in shown) for k in (0, 1)]
    same = f"✓ of the same class: {alike[0]} of {NEAREST * len(shown)} by fc7, {alike[1]} by pixels"
    _write(axes, PLACES[0], top - 36, "nearest training images;")
    _write(axes, PLACES[0], top - 16, same)
    _write(axes, EDGE, top - 36, "test images and their most probable classes")
    panels.heading(figure, numbers["title"], height)
    return figure


def _photographs(axes: Any, pictures: NDArray[np.uint8], top: int, height: int) -> None:
    """All pictures of a sheet in place, each pixel several whole pixels of the figure or one."""
    canvas = np.full((height, style.WIDTH, 3), 255, np.uint8)
    times = SIDE // pictures.shape[2]
    for k, row in enumerate(pictures.repeat(times, 2).repeat(times, 3)):
        y = top + ROW * k
        large = row[0].repeat(2, 0).repeat(2, 1)
        canvas[y:, EDGE:][: len(large), : len(large)] = large
        for j, picture in enumerate(row[1:]):
            strip = y + SECOND * (j // NEAREST)
            canvas[strip:, PLACES[j % NEAREST] :][: len(picture), : len(picture)] = picture
    axes.imshow(canvas, interpolation="none", aspect="auto", extent=(0, style.WIDTH, height, 0))
    axes.autoscale(False)


def _guesses(axes: Any, example: Example, top: int, longest: float) -> None:
    """Bars of a test image's top classes; the right one in another colour, bold and ticked."""
    right = [guess.name == example.label for guess in example.best]
    missing = "" if any(right) else f" (not among the {len(right)})"
    _write(axes, EDGE, top - 14, _cut_off(example.label) + missing, weight="bold")
    for k, (guess, is_right) in enumerate(zip(example.best, right, strict=True)):
        y, weight = top + BAR * (k + 0.5), "bold" if is_right else "normal"
        length = BARS * guess.probability / longest
        axes.barh(y, length, BAR - 4, left=LEFT, color=RIGHT if is_right else OTHER)
        _write(axes, LEFT + 4, y, ("✓ " if is_right else "") + _cut_off(guess.name), weight=weight)
        _write(axes, LEFT + BARS + 6, y, f"{100 * guess.probability:.0f} %", weight=weight)


def _neighbours(axes: Any, example: Example, top: int) -> None:
    """A frame and a tick on the neighbours that have the test image's label."""
    from matplotlib.patches import Rectangle  # noqa: PLC0415 - slow to import

    lists = (("by fc7", example.by_features), ("by pixels", example.by_pixels))
    for k, (called, labels) in enumerate(lists):
        y = top + SECOND * k
        _write(axes, PLACES[0] - 8, y + SIDE / 2, called, ha="right")
        for x, name in zip(PLACES, labels, strict=True):
            if name == example.label:
                frame: dict[str, Any] = {"fill": False, "edgecolor": style.BLUE, "linewidth": 2}
                axes.add_patch(Rectangle((x, y), SIDE, SIDE, **frame))
                box = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
                _write(axes, x + 3, y + 9, "✓", bbox=box)


def _write(axes: Any, x: float, y: float, text: str, **options: Any) -> None:
    """Text whose left middle is at a pixel; class names are no formulas."""
    axes.text(x, y, text, **{"fontsize": 9, "va": "center", "parse_math": False, **options})


def _cut_off(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
