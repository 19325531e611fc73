"""What is read from a training curve."""

from collections.abc import Sequence


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
