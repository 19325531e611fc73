"""What two single runs could see, and the spread of errors that independent answers alone give."""

import math
from collections.abc import Sequence
from itertools import combinations
from statistics import NormalDist

from reproductions.harness.claims.claim import Claim
from reproductions.harness.claims.question import Question
from reproductions.harness.claims.questions import Difference
from reproductions.harness.rule.effect import Answers

# Test images of the paper's comparisons: ILSVRC-2010's test, ILSVRC-2012's validation images (§2).
TEST_IMAGES = {"imagenet2010": 150_000, "imagenet2012": 50_000}
TEST_ERRORS = ("top1", "top5", "top1_ten", "top5_ten")
DISCORDANT = 0.2  # share of the test images that one of two networks has right and the other wrong
SEED_SPREADS = (0.1, 0.2)  # points: standard deviation of a network's error over seeds
POWER = 1 / 3  # Simonsohn, "Small telescopes", 2015: what a study saw badly


def pair_error(images: int, spread: float) -> float:
    """The standard error of the difference of two single runs' test errors, in points.

    √(100² · d / I + 2 s²), with d the share of discordant answers, I images and the seed spread s.
    """
    return math.sqrt(100.0**2 * DISCORDANT / images + 2 * spread**2)


def visible_effect(images: int, spread: float, power: float = POWER) -> float:
    """The effect in points that one pair of runs finds significant at 5 % with a given power."""
    normal = NormalDist()
    return (normal.inv_cdf(0.975) + normal.inv_cdf(power)) * pair_error(images, spread)


def power_of(effect: float, images: int, spread: float) -> float:
    """The probability that one pair of runs finds `effect` points significant at 5 %."""
    normal = NormalDist()
    return normal.cdf(effect / pair_error(images, spread) - normal.inv_cdf(0.975))


def papers_telescope(claim: Claim, question: Question) -> str:
    """What the paper's own pair of runs could see; "" unless it compares test errors on ImageNet.

    ILSVRC-2010 has 150,000 test images and ILSVRC-2012 50,000 validation images.
    """
    scale = claim.scales.get("paper")
    images = TEST_IMAGES.get(scale.dataset or "") if scale else None
    if images is None or not isinstance(question, Difference):
        return ""
    if not set(question.metrics) <= set(TEST_ERRORS) or question.of == question.minus:
        return ""
    least, most = (visible_effect(images, spread) for spread in SEED_SPREADS)
    parts = [
        (
            "What the paper's own runs could see: it compared one run with one run. Such a pair "
            f"sees an effect of {least:.2f} to {most:.2f} points with power 1/3."
        ),
        (
            f"Assumed: {images:,} test images, {100 * DISCORDANT:g} % discordant answers, a seed "
            f"spread of {SEED_SPREADS[0]:g} to {SEED_SPREADS[1]:g} points."
        ),
    ]
    if question.paper:
        low, high = (power_of(question.paper, images, s) for s in reversed(SEED_SPREADS))
        shown = f"{low:.2f} to {high:.2f}" if f"{low:.2f}" != f"{high:.2f}" else f"{low:.2f}"
        parts.append(f"For the paper's {question.paper:g} points that power is {shown}.")
    return " ".join(parts)


def noise_floor(answers: Sequence[Answers]) -> float | None:
    """The standard deviation over seeds that independent answers alone would give, in points.

    √(Σ k (n − k) / (n (n − 1))) / I of images that k of n networks have wrong; what the spread of
    the seeds has above it is common to many images. None with fewer than two networks.
    """
    n = len(answers)
    if n < 2:
        return None
    apart = sum((one.right ^ other.right).bit_count() for one, other in combinations(answers, 2))
    return 100.0 * math.sqrt(apart / (n * (n - 1))) / answers[0].images
