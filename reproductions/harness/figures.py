"""The pictures of the report, each drawn from numbers whose digest the file carries, so that a check needs no drawing."""

import io
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from reproductions.harness.claim import SpeedUp, digest
from reproductions.harness.judge import Judged

TAG = "Numbers"  # PNG text field that holds the digest
COLOURS = ("#1b6ca8", "#c0392b")  # fast, slow; told apart by line style and label too


def numbers_of(row: Judged) -> dict[str, Any]:
    """What the figure of a speed-up draws: title, every counted run's curve, the target and the paper's crossings."""
    question = row.question
    assert isinstance(question, SpeedUp)
    curves = {}
    for variant in question.variants:
        for item in row.arm(variant.name):
            points = [(round(r["epoch"], 4), round(r["train_error"], 4)) for r in item.history()]
            curves[f"{variant.name} seed {item.record.seed}"] = points
    title = f"{row.claim.source}: {question.text}\n{row.data}; {row.hardware}"
    return {"curves": curves, "target": row.target, "paper": question.paper_epochs, "title": title}


def stored_digest(path: Path) -> str | None:
    """The digest in a picture that is there, None if it is missing or no picture of ours."""
    try:
        with Image.open(path) as picture:
            return picture.info.get(TAG)
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError):
        return None


def draw_speedup(row: Judged, numbers: dict[str, Any]) -> bytes:
    """Training error against epochs as a PNG: all seeds thin, means thick, the target dashed, the paper's crossings marked."""
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
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={TAG: digest(numbers), "Software": None})
    return buffer.getvalue()
