"""What is read from a training curve."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Point:
    """A row of a history: passes so far, the images of the row and their error in percent."""

    epoch: float
    images: float
    error: float


def points(rows: Iterable[Mapping[str, Any]]) -> list[Point]:
    """The training curve of a history's rows."""
    return [Point(row["epoch"], row["images"], row["train_error"]) for row in rows]


def pass_means(curve: Sequence[Point], images: int) -> list[tuple[float, float]]:
    """(epoch, mean error over the last whole pass) wherever rows end a window of one pass.

    `images` are those of a pass. Reshuffled images make the running error saw within each epoch, so
    it is read over exactly one pass: a window that moves row by row.
    """
    found, start, count, wrong = [], 0, 0.0, 0.0
    for row in curve:
        count, wrong = count + row.images, wrong + row.images * row.error
        while count > images:
            first = curve[start]
            count, wrong, start = (
                count - first.images,
                wrong - first.images * first.error,
                start + 1,
            )
        if count == images:
            found.append((row.epoch, wrong / count))
    return found


def target_curve(curve: Sequence[Point], images: int, window: str) -> list[tuple[float, float]]:
    """(epoch, error) by which a target is read: of each "row", or of each whole "pass"."""
    if window == "pass":
        return pass_means(curve, images)
    return [(row.epoch, row.error) for row in curve]


def epochs_to(curve: Sequence[tuple[float, float]], target: float) -> float | None:
    """Where a curve of (epoch, error) first reaches `target`, interpolated; None if it never does.

    The first row has none before it: reaching the target there counts as the epoch of that row.
    """
    for index, (epoch, error) in enumerate(curve):
        if error <= target:
            if index == 0:
                return epoch
            before, above = curve[index - 1]
            return before + (above - target) / (above - error) * (epoch - before)
    return None
