"""The pictures of the report, each drawn from numbers whose digest the file carries, so that a check needs no drawing."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from reproductions.harness.claim import Difference, SpeedUp, digest
from reproductions.harness.judge import Judged

TAG = "Numbers"  # PNG text field that holds the digest
COLOURS = ("#1b6ca8", "#c0392b")  # fast, slow; told apart by line style and label too


def numbers_of(row: Judged) -> dict[str, Any] | None:
    """What the picture of a row draws: curves of a speed-up, kernels where their colour is measured. None without a picture."""
    if not row.members:
        return None
    if isinstance(row.question, SpeedUp):
        return _curves(row, row.question)
    if isinstance(row.question, Difference) and row.question.metric == "colour_gap":
        return _kernels(row, row.question)
    return None


def draw(row: Judged, numbers: dict[str, Any]) -> bytes:
    """The picture of a row as a PNG that carries the digest of its numbers."""
    figure = draw_speedup(row, numbers) if "curves" in numbers else draw_kernels(numbers)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={TAG: digest(numbers), "Software": None})
    return buffer.getvalue()


def _title(row: Judged) -> str:
    return f"{row.claim.source}: {row.question.text}\n{row.data}; {row.hardware}"


def _kernels(row: Judged, question: Difference) -> dict[str, Any] | None:
    """conv1's kernels of the two-column runs, each stretched to 0–255 around grey: [maps][S][S][3] by seed."""
    tiles = {}
    for item in row.arm(question.higher.name):
        kernels = item.kernels()
        if kernels is not None:
            largest = np.abs(kernels).max(axis=(1, 2, 3), keepdims=True)
            grey = np.rint(127.5 * (1 + kernels / np.maximum(largest, 1e-12))).astype(int)
            tiles[f"seed {item.record.seed}"] = grey.transpose(0, 2, 3, 1).tolist()
    return {"kernels": tiles, "title": _title(row)} if tiles else None


def draw_kernels(numbers: dict[str, Any]) -> Any:
    """Figure 3 as matplotlib's Figure: for every seed one row of kernels per column of the network."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to import, and `report --check` draws nothing

    figure = Figure(figsize=(9, 0.5 + 1.3 * len(numbers["kernels"])), dpi=120, layout="constrained")
    panels = figure.subplots(2 * len(numbers["kernels"]), 1, squeeze=False)[:, 0]
    for index, (seed, tiles) in enumerate(numbers["kernels"].items()):
        for half, (axes, column) in enumerate(zip(panels[2 * index :], np.array_split(np.array(tiles), 2), strict=False)):
            framed = np.pad(column, ((0, 0), (0, 0), (0, 1), (0, 0)), constant_values=255)
            axes.imshow(np.concatenate(list(framed), axis=1).astype(np.uint8), interpolation="nearest")
            axes.set_ylabel(f"{seed}\ncolumn {half + 1}", rotation=0, ha="right", va="center", fontsize=7)
            axes.set(xticks=[], yticks=[])
    figure.suptitle(numbers["title"], fontsize=9)
    return figure


def _curves(row: Judged, question: SpeedUp) -> dict[str, Any]:
    """Title, every counted run's curve, the target and the paper's crossings."""
    curves = {}
    for variant in question.variants:
        for item in row.arm(variant.name):
            points = [(round(r["epoch"], 4), round(r["train_error"], 4)) for r in item.history()]
            curves[f"{variant.name} seed {item.record.seed}"] = points
    return {"curves": curves, "target": row.target, "paper": question.paper_epochs, "title": _title(row)}


def stored_digest(path: Path) -> str | None:
    """The digest in a picture that is there, None if it is missing or no picture of ours."""
    try:
        with Image.open(path) as picture:
            return picture.info.get(TAG)
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError):
        return None


def draw_speedup(row: Judged, numbers: dict[str, Any]) -> Any:
    """Training error against epochs as matplotlib's Figure: seeds thin, means thick, target dashed, the paper's crossings."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to import, and `report --check` draws nothing

    question = row.question
    assert isinstance(question, SpeedUp)
    figure = Figure(figsize=(7, 4.2), dpi=120, layout="constrained")
    axes = figure.subplots()
    for variant, colour, style in zip(question.variants, COLOURS, ("-", "--"), strict=True):
        curves = [points for name, points in numbers["curves"].items() if name.startswith(f"{variant.name} seed")]
        for points in curves:
            axes.plot(*zip(*points, strict=True), color=colour, linewidth=0.6, alpha=0.5)
        shared = min((len(points) for points in curves), default=0)
        if shared:
            epochs = [curves[0][k][0] for k in range(shared)]
            means = [sum(points[k][1] for points in curves) / len(curves) for k in range(shared)]
            label = f"{variant.name}, mean of {len(curves)} seeds"
            axes.plot(epochs, means, color=colour, linestyle=style, linewidth=2, label=label)
    axes.axhline(numbers["target"], color="black", linestyle=":", linewidth=1, label=f"{numbers['target']:g} % training error")
    for crossing, colour, marker in zip(question.paper_epochs or (), COLOURS, ("o", "s"), strict=False):
        label = f"paper's curve crosses at about {crossing:g}"
        axes.plot([crossing], [numbers["target"]], marker, color=colour, markerfacecolor="none", markersize=9, label=label)
    axes.set(
        xlabel="epochs",
        ylabel="running training error (%)",
        ylim=(min(15, numbers["target"] - 10), 80 if numbers["target"] < 60 else 100),
        xlim=(0, None),
    )
    axes.set_title(numbers["title"], fontsize=9)
    axes.legend(fontsize=8)
    return figure
