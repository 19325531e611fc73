"""The paper's formulas and small counts are right: normalisation, update rule, crops (§3.3–§5).

Nothing is trained. Each formula is computed as printed, with the constants of
`AlexNetConfig.paper()` and `AlexNetRecipe.paper()`, and compared with numbers got by hand or
another way; each count is counted. Every one is an exact claim.
"""

import itertools
import math

from alexnet.config import AlexNetConfig, AlexNetRecipe
from reproductions.harness import Claim, Count, Scale

NET, RECIPE = AlexNetConfig.paper(), AlexNetRecipe.paper()
# activities of six maps; by hand, the squares of each one's neighbours
MAPS, SUMS = ((1, -2, 3, 4, 0, 5), (14, 30, 30, 54, 50, 41))
# three classes that read four hidden neurons
WEIGHTS = ((0.5, -1.0, 2.0, 0.3), (1.5, 0.2, -0.7, 1.0), (-0.4, 0.8, 0.1, -1.2))
HIDDEN = (1.0, 2.0, 0.5, 3.0)
VIEWS = {
    (y, x, turned)
    for y in (0, 16, 32)
    for x in (0, 16, 32)
    if (y == 16) == (x == 16)
    for turned in (False, True)
}


def normalised(maps: tuple[int, ...]) -> list[float]:
    """The formula of §3.3 as printed, with α = 1 so that the sum shows."""
    windows = [
        maps[max(0, i - NET.lrn_size // 2) : i + NET.lrn_size // 2 + 1] for i in range(len(maps))
    ]
    return [
        a / (NET.lrn_k + sum(b * b for b in window)) ** NET.lrn_beta
        for a, window in zip(maps, windows, strict=True)
    ]


def softmax(masks: tuple[float, ...]) -> list[float]:
    """Class probabilities of the one layer WEIGHTS with each of HIDDEN multiplied by `masks`."""
    powers = [
        math.exp(sum(w * k * h for w, k, h in zip(row, masks, HIDDEN, strict=True)))
        for row in WEIGHTS
    ]
    return [power / sum(powers) for power in powers]


def geometric_mean() -> list[float]:
    """The normalised geometric mean over all 2⁴ choices of hidden neurons to keep."""
    choices = [softmax(masks) for masks in itertools.product((0.0, 1.0), repeat=len(HIDDEN))]
    means = [math.prod(column) ** (1 / len(choices)) for column in zip(*choices, strict=True)]
    return [mean / sum(means) for mean in means]


def close(found: list[float], expected: list[float]) -> int:
    """How many numbers agree to twelve digits."""
    return sum(math.isclose(a, b, rel_tol=1e-12) for a, b in zip(found, expected, strict=True))


CLAIM = Claim(
    section="§3–§5",
    questions=(
        Count(
            name="normalisation",
            text="of the activities 1, −2, 3, 4, 0, 5, those that §3.3 normalises as by hand: "
            "a / (2 + neighbours' squares)^¾",
            paper=6,
            measure=lambda: close(
                normalised(MAPS),
                [a / math.sqrt(math.sqrt(2 + s)) ** 3 for a, s in zip(MAPS, SUMS, strict=True)],
            ),
        ),
        Count(
            name="update",
            text="a weight of 2 with velocity 1 and gradient 3 after one update of §5, by hand "
            "2 + 0.9 − 0.0005 · 0.01 · 2 − 0.01 · 3",
            paper=2.86999,
            measure=lambda: round(
                2
                + RECIPE.momentum * 1
                - RECIPE.weight_decay * RECIPE.learning_rate * 2
                - RECIPE.learning_rate * 3,
                12,
            ),
        ),
        Count(
            name="bits",
            text="a label among 1000 classes gives 10 bits (§4)",
            paper=10,
            measure=lambda: math.log2(NET.classes),
            tolerance=0.01,
        ),
        Count(
            name="crops_and_flips",
            text="crops and mirror images make 2048 of one image (§4.1)",
            paper=2048,
            measure=lambda: 2 * (256 - NET.image_size + 1) ** 2,
            note="a square of 224 fits into 256 at offsets 0 to 32, which are 33 and not 32 "
            "each way: 33 · 33 · 2 = 2178.",
        ),
        Count(
            name="views",
            text="four corners, centre and their mirror images are ten crops (§4.1)",
            paper=10,
            measure=lambda: len(VIEWS),
        ),
        Count(
            name="dropout_mean",
            text="of three classes, those whose geometric mean over all dropped-out nets is what "
            "halved neurons give (§4.2)",
            paper=3,
            measure=lambda: close(softmax((0.5,) * len(HIDDEN)), geometric_mean()),
        ),
        Count(
            name="pooling_sizes",
            text="of eight layers, those with the same size for pooling windows of 2 as for the "
            "overlapping ones of 3 (§3.4)",
            paper=8,
            measure=lambda: sum(
                a.side == b.side
                for a, b in zip(NET.layers(), AlexNetConfig(pool_size=2).layers(), strict=True)
            ),
        ),
    ),
    scales={"paper": Scale(dataset=None)},
    differs=(
        (
            "That halved neurons give the geometric mean is exact for one layer under a softmax; "
            "for the two of AlexNet it is near."
        ),
    ),
)
