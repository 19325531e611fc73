"""The effect of a claim: a mean over pairs of runs, and how far new seeds and images would move it.

A seed draws the same initial weights and the same order of images in both arms, so the data are the
differences (of ratios: of logarithms) per seed. Imports neither torch nor pandas.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean

from reproductions.harness.rule.student_t import t_quantile


@dataclass(frozen=True)
class Effect:
    """A mean over `n` pairs on the scale where effects add: points, or logs of ratios."""

    n: int
    mean: float = math.nan
    seeds: float = 0.0  # the variance of the mean over seeds
    images: float | None = 0.0  # what the finite set of images adds; None: not known
    # pairs with one run that never reached the target, which enter at their bound
    at_least: int = 0
    at_most: int = 0

    @property
    def whole(self) -> int:
        """The pairs without a bound."""
        return self.n - self.at_least - self.at_most

    @property
    def sd(self) -> float:
        """The standard deviation of the pairs' differences."""
        return math.sqrt(self.n * self.seeds)

    @property
    def bound(self) -> str:
        """The sign of a mean that is a bound."""
        if self.at_least and self.at_most:
            return "about "
        return "≥ " if self.at_least else "≤ " if self.at_most else ""

    def interval(self, level: float = 0.95) -> tuple[float, float] | None:
        """Mean ± √(t² · seeds + z² · images), open where a run did not arrive.

        None with fewer than two whole pairs, which say nothing about the spread.
        """
        if self.whole < 2:
            return None
        half = self.half_width(level)
        low = -math.inf if self.at_most else self.mean - half
        high = math.inf if self.at_least else self.mean + half
        return low, high

    def half_width(self, level: float) -> float:
        """Half the interval's width before an end is opened."""
        p = (1 + level) / 2
        t, z = t_quantile(p, self.n - 1), NormalDist().inv_cdf(p)
        return math.sqrt(t * t * self.seeds + z * z * (self.images or 0.0))


@dataclass(frozen=True)
class Times:
    """The epochs of a pair's two runs to their target; None: not within `budget` epochs."""

    slow: float | None
    fast: float | None
    budget: float


def effect_of(differences: Sequence[float], images: float | None = 0.0) -> Effect:
    """The effect of one difference per seed; one that is no finite number is left out."""
    found = [value for value in differences if math.isfinite(value)]
    if not found:
        return Effect(0)
    mean = fmean(found)
    return Effect(len(found), mean, _variance(found, mean) / len(found), images)


def effect_of_times(pairs: Sequence[Times]) -> Effect:
    """The effect of ratios slow / fast, as logarithms.

    Where one run did not reach the target its budget stands for it, which bounds the ratio; a pair
    without any arrival is left out. Raises ValueError for times that are not positive and finite.
    """
    for time in (time for pair in pairs for time in (pair.slow, pair.fast)):
        if time is not None and not (math.isfinite(time) and time > 0):
            raise ValueError(f"epochs to the target must be positive, not {time}")
    found = [pair for pair in pairs if pair.slow is not None or pair.fast is not None]
    logs = [math.log((pair.slow or pair.budget) / (pair.fast or pair.budget)) for pair in found]
    effect = effect_of(logs)
    at_least, at_most = (
        sum(getattr(pair, arm) is None for pair in found) for arm in ("slow", "fast")
    )
    return Effect(effect.n, effect.mean, effect.seeds, None, at_least, at_most)


@dataclass(frozen=True)
class Answers:
    """Which of `images` a network has right: one bit each in a whole number."""

    right: int
    images: int


def images_variance(pairs: Sequence[tuple[Answers, Answers | None]]) -> float:
    """What a finite set of images adds to the variance of a mean error, in percent².

    One pair per seed; the effect is the error of the first network minus that of the second, or the
    error of the first. The spread of the seeds' means holds most of it already, so that only the
    images' own part is added: max(0, var(image means) / I − residual / (n · I)), where the residual
    is the mean square of the seeds × images table without the means of seeds and images. It is 0
    for a single seed. Raises ValueError if the sets of images differ in size.
    """
    n, images = len(pairs), pairs[0][0].images
    if any(answers and answers.images != images for pair in pairs for answers in pair):
        raise ValueError("the answers are to different numbers of images")
    if n < 2 or images < 2:
        return 0.0
    tables = [_worse_and_better(*pair) for pair in pairs]
    products = [[_product(one, other) for other in tables] for one in tables]
    means = [(worse.bit_count() - better.bit_count()) / images for worse, better in tables]
    mean = fmean(means)
    of_image_means = sum(map(sum, products)) / n**2 - images * mean**2  # sum of squares
    of_seed_means = images * math.fsum((value - mean) ** 2 for value in means)
    whole = sum(products[k][k] for k in range(n)) - n * images * mean**2
    residual = (whole - of_seed_means - n * of_image_means) / ((n - 1) * (images - 1))
    own = of_image_means / (images - 1) - residual / n
    return max(0.0, 100.0**2 * own / images)


def _worse_and_better(one: Answers, other: Answers | None) -> tuple[int, int]:
    """The images that the first alone has wrong, and those that the second alone has wrong."""
    all_right = (1 << one.images) - 1
    right = all_right if other is None else other.right
    return right & ~one.right, one.right & ~right


def _product(one: tuple[int, int], other: tuple[int, int]) -> int:
    """The inner product of two rows of 1 (worse), −1 (better) and 0."""
    (worse, better), (worse2, better2) = one, other
    same = (worse & worse2).bit_count() + (better & better2).bit_count()
    return same - (worse & better2).bit_count() - (better & worse2).bit_count()


def _variance(values: Sequence[float], mean: float) -> float:
    """The sample variance, 0 of one value; `statistics.variance` takes forty times as long."""
    squares = math.fsum((value - mean) ** 2 for value in values)
    return squares / (len(values) - 1) if len(values) > 1 else 0.0
