"""Figure 3: conv1's kernels by column, and how much they differ in colour."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reproductions.harness.claims.questions import Difference
from reproductions.harness.judge.rows import VerdictRow
from reproductions.harness.records.arrays import read_kernels
from reproductions.harness.records.evidence import colour_share
from reproductions.harness.records.files import naming
from reproductions.harness.report.figures import panels, words
from reproductions.harness.report.figures.differences import difference, draw_pair
from reproductions.harness.report.figures.figure import Figure, short
from reproductions.harness.report.format import path_of

ACROSS = 24  # kernels in a row
GAP = 1  # white pixels of a kernel's size between two
COLUMNS = ("seed", "column", "kernel", "colour_share")


def kernels(row: VerdictRow, question: Difference) -> Figure | None:
    """The kernels of two-column runs, each stretched to 0–255 and ordered by colour."""
    tiles: dict[str, list[Any]] = {}
    rows: list[tuple[object, ...]] = []
    for item in row.arm(question.arms[-1].name):
        with naming(path_of(item)):
            found = read_kernels(item)
        if found is None:
            continue
        seed = str(item.record.seed)
        shares = np.array([colour_share(kernel.ravel().tolist()) for kernel in found])
        columns = np.array_split(np.arange(len(found)), 2)
        ordered = [half[np.argsort(shares[half], kind="stable")] for half in columns]
        tiles[seed] = [_tiles(found[half]) for half in ordered]
        rows += [
            (seed, k, int(index) + 1, short(float(shares[index])))
            for k, half in enumerate(columns, 1)
            for index in half
        ]
    pairs = difference(row, question)
    if not tiles or not pairs:
        return pairs
    text = (
        f"{question.text}: {words.measured(row)} {question.unit}; the kernels of conv1 as coloured "
        f"squares, a row per column of the network, for {len(tiles)} seeds"
    )
    caption = (
        "Each column's kernels are ordered by their share of colour, which the CSV has; the "
        "pixels of each are stretched to the full range."
    )
    numbers = {**pairs.numbers, "kernels": tiles}
    return Figure(
        numbers, text, draw_kernels, COLUMNS, rows, caption, words.source(row), palette=False
    )


def _tiles(kernels: NDArray[np.float32]) -> Any:
    """Bytes [maps][S][S][3], each kernel stretched around grey."""
    largest = np.abs(kernels).max(axis=(1, 2, 3), keepdims=True)
    grey = np.rint(127.5 * (1 + kernels / np.maximum(largest, 1e-12))).astype(int)
    return grey.transpose(0, 2, 3, 1).tolist()


def draw_kernels(numbers: dict[str, Any]) -> Any:
    """A strip of kernels per seed and column, then what is judged."""
    strips = [
        (f"seed {seed}\ncolumn {k}", _strip(np.array(tiles, np.uint8)))
        for seed, columns in numbers["kernels"].items()
        for k, tiles in enumerate(columns, 1)
    ]
    shape = strips[0][1].shape
    high = 900 * shape[0] / shape[1] + 12
    figure = panels.titled(numbers, high * len(strips) + 330)
    upper, lower = figure.subfigures(2, 1, height_ratios=(high * len(strips), 330))
    for axes, (name, strip) in zip(
        np.ravel(upper.subplots(len(strips), 1, squeeze=False)), strips, strict=True
    ):
        axes.imshow(strip, interpolation="none")
        axes.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    axes.set_xlabel("less colour   →   more colour")
    draw_pair(lower.subplots(1, 2), numbers)
    return figure


def _strip(tiles: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Kernels [maps, S, S, 3] side by side, in as many rows as they need."""
    rows = []
    for first in range(0, len(tiles), ACROSS):
        part = np.pad(tiles[first : first + ACROSS], _white(GAP, GAP), constant_values=255)
        row = np.concatenate(list(part), axis=1)
        missing = min(ACROSS, len(tiles)) - len(part)
        rows.append(
            np.pad(row, ((0, 0), (0, missing * part.shape[2]), (0, 0)), constant_values=255)
        )
    return np.concatenate(rows)


def _white(below: int, right: int) -> tuple[tuple[int, int], ...]:
    return (0, 0), (0, below), (0, right), (0, 0)
