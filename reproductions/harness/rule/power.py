"""What a number of seeds can see, by the t test of paired differences; scipy has its power."""

import math
from bisect import bisect_left

from reproductions.harness.rule.student_t import t_quantile

MOST_SEEDS = 1000


def detectable(sd: float, n: int, power: float = 0.8) -> float:
    """The effect whose 95 % interval lies above zero with the given probability.

    `sd` is the standard deviation of the differences per seed; what a finite set of test images
    adds is not in it.
    """
    from scipy.special import nctdtrinc  # noqa: PLC0415 - its import takes a third of a second

    shift = float(nctdtrinc(n - 1, 1 - power, t_quantile(0.975, n - 1)))
    return shift * sd / math.sqrt(n)


def seeds_for_width(sd: float, half: float) -> int:
    """The seeds, from 2 to 1000, with which half the 95 % interval is no wider than `half`."""
    return 2 + bisect_left(
        range(2, MOST_SEEDS),
        True,
        key=lambda n: t_quantile(0.975, n - 1) * sd / math.sqrt(n) <= half,
    )


def seeds_needed(sd: float, effect: float, power: float = 0.8) -> int:
    """The seeds, from 2 to 1000, with which `effect` is detectable."""
    return 2 + bisect_left(
        range(2, MOST_SEEDS), True, key=lambda n: detectable(sd, n, power) <= abs(effect)
    )
