"""Whether trainings got to where a claim can be answered; else it is `too short to tell`.

Pure; of error per epoch on all test images, percent, and of errors at the end.
"""

import math
from collections.abc import Sequence
from statistics import fmean

OVERFITTED = 10.0  # points by which the test error exceeds the clean training error
BEFORE_DROP = 6  # epochs that are compared with as many before them
LEVEL_BEFORE_DROP = 1.0  # points by which they may still be better
LEVEL_AT_END = 0.5


def not_overfitted(gaps: Sequence[float | None]) -> str:
    """Why an arm did not overfit, by its runs' gaps in points; "" if it did."""
    found = [gap for gap in gaps if gap is not None]
    if not found:
        return "no run has the gap between test error and clean training error"
    if (gap := fmean(found)) < OVERFITTED:
        return (
            f"the network that should overfit has a gap of {gap:.1f} points between test error and "
            f"clean training error, below {OVERFITTED:g}"
        )
    return ""


def not_ended(courses: Sequence[Sequence[float]], drops: Sequence[int | None], scale: str) -> str:
    """Why an arm's course had not ended; "" if it had.

    `courses` are the errors per epoch of each seed, and `drops` the epochs before the first drop of
    its learning rate, None without one. How much the error still falls is the mean over seeds. At
    scale `paper` the end alone is asked.
    """
    if not courses or not all(courses):
        return "the records have no test error per epoch"
    before = [course[:drop] for course, drop in zip(courses, drops, strict=True)]
    if scale != "paper" and (why := _steep_before_drop(before)):
        return why
    gain = _mean_gain(courses, [math.ceil(len(course) / 20) for course in courses])
    if gain is None or gain >= LEVEL_AT_END:
        by = "" if gain is None else f": it still fell by {gain:.1f} points"
        return f"the test error had not levelled off at the end of {len(courses[0])} epochs{by}"
    return ""


def _steep_before_drop(before: Sequence[Sequence[float]]) -> str:
    if (had := min(map(len, before))) < 2 * BEFORE_DROP:
        return f"it had {had} epochs before the first drop of the rate, and the rule wants 12"
    gain = _mean_gain(before, [BEFORE_DROP] * len(before))
    if gain is not None and gain >= LEVEL_BEFORE_DROP:
        return f"the test error still fell by {gain:.1f} points before the first drop of the rate"
    return ""


def _mean_gain(courses: Sequence[Sequence[float]], epochs: Sequence[int]) -> float | None:
    """How much lower the last epochs are than as many before them, on average over the courses."""
    gains = []
    for course, count in zip(courses, epochs, strict=True):
        before = course[-2 * count : -count]
        if len(before) < count:
            return None
        gains.append(fmean(before) - fmean(course[-count:]))
    return fmean(gains)


def first_drop(rates: Sequence[float]) -> int | None:
    """The epochs before the learning rate first falls, of the rate in each; None if it never does.

    A rate that rises, as in a warm-up, is no drop.
    """
    falls = (epoch for epoch in range(1, len(rates)) if rates[epoch] < rates[epoch - 1])
    return next(falls, None)
