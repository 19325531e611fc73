"""The report's pictures; each file carries its numbers' digest, so checks draw nothing."""

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from reproductions.harness.claims.epoch_ratio import EpochRatio
from reproductions.harness.claims.questions import Difference
from reproductions.harness.claims.runs import digest
from reproductions.harness.judge.rows import VerdictRow
from reproductions.harness.records.arrays import read_kernels
from reproductions.harness.records.examples import (
    NEAREST,
    SIDE,
    Example,
    Examples,
    cut,
    read_examples,
)
from reproductions.harness.records.files import naming
from reproductions.harness.report.format import path_of

TAG = "Numbers"  # PNG text field that holds the digest
COLOURS = ("#1b6ca8", "#c0392b")  # fast, slow; told apart by line style and label too
# another class, the right one; light, since names stand on them
BAR_COLOURS = ("#dddddd", "#8fc1e3")
# Figure 4 in pixels: from the edge, between photographs, the bars' left end, full length and
# height, the rows' top and height
EDGE, GAP, LEFT, BARS, BAR, TOP, ROW = 8, 4, 80, 170, SIDE / 5, 84, 86
# photographs' left edges
PLACES = (
    EDGE,
    *(LEFT + BARS + 52 + k * (SIDE + GAP) + k // NEAREST * 24 for k in range(2 * NEAREST)),
)
LONGEST = 26  # letters of a class name that fit
UNSEEN = str.maketrans("[]\n\r", "()  ")  # what would end a text alternative


@dataclass(frozen=True)
class Figure:
    """A row's figure: the numbers that decide its pixels, alternative text, and how to draw it."""

    numbers: dict[str, Any]
    words: str  # for those who do not see it
    draw: Callable[[], Any]  # makes matplotlib's Figure
    caption: str = ""
    photographs: bool = False  # drawn in 256 colours: a third of the bytes

    def png(self) -> bytes:
        """The picture as a PNG that carries the digest of its numbers."""
        buffer = io.BytesIO()
        self.draw().savefig(
            buffer, format="png", metadata={TAG: digest(self.numbers), "Software": None}
        )
        return _in_few_colours(buffer) if self.photographs else buffer.getvalue()

    def markdown(self, name: str) -> str:
        """The picture in a page, `name` being its file."""
        shown = f"![{self.words.translate(UNSEEN)}]({name})"
        return f"{shown}\n\n{self.caption}" if self.caption else shown


def picture_of(row: VerdictRow) -> Figure | None:
    """Curves for a speed-up, kernels for colour, examples for fc7 retrieval; None for other rows.

    Raises EvidenceError, which names the file, where one is broken or cannot be read that the
    picture alone needs.
    """
    make = FIGURES.get(row.question.figure)
    return make(row, row.scaled) if make and row.members else None


def _in_few_colours(drawn: io.BytesIO) -> bytes:
    """A drawn PNG with a palette of 256 colours and the same digest."""
    stored, note = io.BytesIO(), PngInfo()
    with Image.open(drawn) as picture:
        note.add_text(TAG, picture.info[TAG])
        picture.convert("RGB").quantize(256).save(stored, "PNG", pnginfo=note, optimize=True)
    return stored.getvalue()


def _title(row: VerdictRow) -> str:
    return f"{row.claim.section}: {row.question.text}\n{row.data}; {row.hardware}"


def _kernels(row: VerdictRow, question: Difference) -> Figure | None:
    """conv1's kernels of two-column runs, each stretched to 0–255: [maps][S][S][3] by seed."""
    tiles = {}
    for item in row.arm(question.of.name):
        with naming(path_of(item)):
            kernels = read_kernels(item)
        if kernels is not None:
            largest = np.abs(kernels).max(axis=(1, 2, 3), keepdims=True)
            grey = np.rint(127.5 * (1 + kernels / np.maximum(largest, 1e-12))).astype(int)
            tiles[f"seed {item.record.seed}"] = grey.transpose(0, 2, 3, 1).tolist()
    words = (
        f"{question.text}: the kernels of conv1 as coloured squares, a row per column of the "
        f"network, {', '.join(tiles)}"
    )
    numbers = {"kernels": tiles, "title": _title(row)}
    return Figure(numbers, words, partial(draw_kernels, numbers)) if tiles else None


def draw_kernels(numbers: dict[str, Any]) -> Any:
    """Figure 3 as a matplotlib Figure: for every seed one row of kernels per column of the net."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to import, and `report --check` draws nothing

    figure = Figure(figsize=(9, 0.5 + 1.3 * len(numbers["kernels"])), dpi=120, layout="constrained")
    panels = figure.subplots(2 * len(numbers["kernels"]), 1, squeeze=False)[:, 0]
    for index, (seed, tiles) in enumerate(numbers["kernels"].items()):
        for half, (axes, column) in enumerate(
            zip(panels[2 * index :], np.array_split(np.array(tiles), 2), strict=False)
        ):
            framed = np.pad(column, ((0, 0), (0, 0), (0, 1), (0, 0)), constant_values=255)
            axes.imshow(
                np.concatenate(list(framed), axis=1).astype(np.uint8), interpolation="nearest"
            )
            axes.set_ylabel(
                f"{seed}\ncolumn {half + 1}", rotation=0, ha="right", va="center", fontsize=7
            )
            axes.set(xticks=[], yticks=[])
    figure.suptitle(numbers["title"], fontsize=9)
    return figure


def _curves(row: VerdictRow, question: EpochRatio) -> Figure:
    """Every counted run's curve, the target and the paper's crossings."""
    curves = {}
    for variant in question.arms:
        for item in row.arm(variant.name):
            points = [(round(r["epoch"], 4), round(r["train_error"], 4)) for r in item.history()]
            curves[f"{variant.name} seed {item.record.seed}"] = points
    numbers = {
        "curves": curves,
        "target": question.target,
        "paper": question.paper_epochs,
        "title": _title(row),
    }
    runs = " and ".join(f"{len(row.arm(variant.name))} {variant.name}" for variant in question.arms)
    words = (
        f"{question.text}: running training error against epochs of {runs} runs, and the target of "
        f"{question.target:g} % as a line"
    )
    return Figure(numbers, words, partial(draw_speedup, question, numbers))


def stored_digest(path: Path) -> str | None:
    """The digest in a picture that is there, None if it is missing or no picture of ours."""
    try:
        with Image.open(path) as picture:
            return picture.info.get(TAG)
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError):
        return None


def draw_speedup(question: EpochRatio, numbers: dict[str, Any]) -> Any:
    """Training error by epoch, a matplotlib Figure: seeds, means, target, the paper's crossings."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to import, and `report --check` draws nothing

    figure = Figure(figsize=(7, 4.2), dpi=120, layout="constrained")
    axes = figure.subplots()
    for variant, colour, style in zip(question.arms, COLOURS, ("-", "--"), strict=True):
        curves = [
            points
            for name, points in numbers["curves"].items()
            if name.startswith(f"{variant.name} seed")
        ]
        for points in curves:
            axes.plot(*zip(*points, strict=True), color=colour, linewidth=0.6, alpha=0.5)
        shared = min((len(points) for points in curves), default=0)
        if shared:
            epochs = [curves[0][k][0] for k in range(shared)]
            means = [sum(points[k][1] for points in curves) / len(curves) for k in range(shared)]
            label = f"{variant.name}, mean of {len(curves)} seeds"
            axes.plot(epochs, means, color=colour, linestyle=style, linewidth=2, label=label)
    axes.axhline(
        numbers["target"],
        color="black",
        linestyle=":",
        linewidth=1,
        label=f"{numbers['target']:g} % training error",
    )
    for crossing, colour, marker in zip(
        question.paper_epochs or (), COLOURS, ("o", "s"), strict=False
    ):
        label = f"paper's curve crosses at about {crossing:g}"
        axes.plot(
            [crossing],
            [numbers["target"]],
            marker,
            color=colour,
            markerfacecolor="none",
            markersize=9,
            label=label,
        )
    axes.set(
        xlabel="epochs",
        ylabel="running training error (%)",
        ylim=(min(15, numbers["target"] - 10), 80 if numbers["target"] < 60 else 100),
        xlim=(0, None),
    )
    axes.set_title(numbers["title"], fontsize=9)
    axes.legend(fontsize=8)
    return figure


def _examples(row: VerdictRow, question: Difference) -> Figure | None:
    """Test images of the first run that has them, with top classes and nearest training images."""
    for item in row.arm(question.of.name):
        with naming(path_of(item)):
            found = read_examples(item.folder)
        if found:
            examples, sheet = found
            numbers = {
                "examples": examples.model_dump(),
                "sheet": base64.b64encode(sheet).decode(),
                "title": _title(row),
            }
            words = f"{question.text}: {'; '.join(map(_in_words, examples.images))}"
            caption = (
                f"Record `{path_of(item)}`, scale {row.scale}. The test images are evenly spread "
                f"over the split. Bars are probabilities averaged over {examples.views} crops, to "
                "the scale of the largest. Neighbours are the nearest (Euclidean) of "
                f"{examples.among:,} training images, in central crops. ✓ is the test image's own "
                "class. What is judged is the table below, of many more test images."
            )
            return Figure(
                numbers, words, partial(draw_examples, numbers), caption, photographs=True
            )
    return None


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
    """Figure 4 as matplotlib's Figure: a row per test image.

    Laid out in pixels, so that no photograph is resampled.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to import, and `report --check` draws nothing

    examples = Examples.model_validate(numbers["examples"]).images
    height, width = TOP + ROW * len(examples), PLACES[-1] + SIDE + EDGE
    figure = Figure(figsize=(width / 100, height / 100), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    _photographs(axes, cut(base64.b64decode(numbers["sheet"])), height, width)
    longest = max(guess.probability for example in examples for guess in example.best) or 1.0
    for k, example in enumerate(examples):
        _guesses(axes, example, TOP + ROW * k, longest)
        _neighbours(axes, example, TOP + ROW * k)
    _write(axes, EDGE, TOP - 28, "test images and their most probable classes", fontsize=8)
    for k, name in enumerate(("fc7", "pixels")):
        alike = (
            f"{sum(example.alike[k] for example in examples)} of {NEAREST * len(examples)} of the "
            "same class (✓)"
        )
        _write(
            axes,
            PLACES[1 + NEAREST * k],
            TOP - 28,
            f"nearest training images by {name}: {alike}",
            fontsize=8,
        )
    axes.text(width / 2, 6, numbers["title"], fontsize=9, ha="center", va="top", linespacing=1.4)
    return figure


def _photographs(axes: Any, pictures: NDArray[np.uint8], height: int, width: int) -> None:
    """All pictures of a sheet in place, each pixel one or several whole pixels of the figure."""
    canvas = np.full((height, width, 3), 255, np.uint8)
    times = SIDE // pictures.shape[2]
    for k, row in enumerate(pictures.repeat(times, 2).repeat(times, 3)):
        for x, picture in zip(PLACES, row, strict=True):
            canvas[TOP + ROW * k :, x:][: len(picture), : len(picture)] = picture
    axes.imshow(canvas, interpolation="none", aspect="auto", extent=(0, width, height, 0))
    axes.autoscale(False)


def _guesses(axes: Any, example: Example, top: int, longest: float) -> None:
    """Bars of a test image's top classes; the right one in another colour, bold and ticked."""
    right = [guess.name == example.label for guess in example.best]
    missing = "" if any(right) else f" (not among the {len(right)})"
    _write(axes, EDGE, top - 8, _cut_off(example.label) + missing, weight="bold")
    for k, (guess, is_right) in enumerate(zip(example.best, right, strict=True)):
        y, weight = top + BAR * (k + 0.5), "bold" if is_right else "normal"
        axes.barh(
            y, BARS * guess.probability / longest, BAR - 2, left=LEFT, color=BAR_COLOURS[is_right]
        )
        _write(axes, LEFT + 2, y, ("✓ " if is_right else "") + _cut_off(guess.name), weight=weight)
        _write(axes, LEFT + BARS + 4, y, f"{100 * guess.probability:.0f} %", weight=weight)


def _neighbours(axes: Any, example: Example, top: int) -> None:
    """A frame and a tick on the neighbours that have the test image's label."""
    from matplotlib.patches import Rectangle  # noqa: PLC0415 - as above

    for x, name in zip(PLACES[1:], example.by_features + example.by_pixels, strict=True):
        if name == example.label:
            axes.add_patch(
                Rectangle((x, top), SIDE, SIDE, fill=False, edgecolor=COLOURS[0], linewidth=2)
            )
            _write(
                axes,
                x + 3,
                top + 8,
                "✓",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
            )


def _write(axes: Any, x: float, y: float, text: str, fontsize: float = 7, **style: Any) -> None:
    """Text whose left middle is at a pixel; class names are no formulas."""
    axes.text(x, y, text, fontsize=fontsize, va="center", parse_math=False, **style)


def _cut_off(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


# By the name that a question gives its figure.
FIGURES: dict[str, Callable[..., Figure | None]] = {
    "curves": _curves,
    "kernels": _kernels,
    "neighbours": _examples,
}
