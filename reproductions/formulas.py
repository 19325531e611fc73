"""The paper's formulas and small counts are right: normalisation, update rule, crops (§3.3–§5).

Nothing is trained. `alexnet`'s own code computes each formula with the constants of
`AlexNetConfig.paper()` and `AlexNetRecipe.paper()`, and the result is compared with numbers got by
hand. Each count is of what that code draws, evaluates or pools.

Expected: at paper normalisation 6, update 2.870, bits 9.966, crops_and_flips 2,178, views 10,
dropout_mean 3, pooling_sizes 8 by a calculation of seconds.
"""

import math

from reproductions.harness import Claim, Count, Scale, computed

ACTIVITIES = (1, -2, 3, 4, 0, 5)  # of six maps at one pixel
SQUARES = (14, 30, 30, 54, 50, 41)  # by hand: of two neighbours to either side, and of its own
NORMALISED = [a / (2 + squares) ** 0.75 for a, squares in zip(ACTIVITIES, SQUARES, strict=True)]
# three classes that read four hidden neurons
WEIGHTS = ((0.5, -1.0, 2.0, 0.3), (1.5, 0.2, -0.7, 1.0), (-0.4, 0.8, 0.1, -1.2))
HIDDEN = (1.0, 2.0, 0.5, 3.0)

COUNTS = (
    Count(name="normalisation", paper=6,
          text="activities that are normalised as by hand (§3.3), out of 1, −2, 3, 4, 0 and 5",
          measure=lambda: computed.agreeing(computed.normalized(ACTIVITIES), NORMALISED)),
    Count(name="update", paper=2.86999,
          text="a weight of 2 with velocity 1 and gradient 3 after one update (§5), by hand "
          "2 + 0.9 − 0.0005 · 0.01 · 2 − 0.01 · 3",
          measure=lambda: computed.updated(2.0, velocity=1.0, gradient=3.0)),
    Count(name="bits", paper=10, tolerance=0.01, text="bits of a label among 1000 classes (§4)",
          measure=lambda: math.log2(computed.NET.classes)),
    Count(name="crops_and_flips", paper=2048, measure=lambda: computed.training_crops(256),
          text="different crops of 224 pixels and their mirror images, of one image of 256 (§4.1)",
          note="a square of 224 fits into 256 at offsets 0 to 32, which are 33 and not 32 each "
          "way: 33 · 33 · 2 = 2178."),
    Count(name="views", paper=10, measure=lambda: computed.test_crops(256),
          text="different crops of one test image that are averaged (§4.1)"),
    Count(name="dropout_mean", paper=3,
          text="classes with the same probability by halved neurons and by the geometric mean of "
          "all dropped-out nets (§4.2), out of three",
          measure=lambda: computed.agreeing(computed.with_halved(WEIGHTS, HIDDEN),
                                            computed.geometric_mean(WEIGHTS, HIDDEN))),
    Count(name="pooling_sizes", paper=8, measure=lambda: computed.equally_large(2, 3),
          text="layers of the same size with pooling windows of 2 and of 3 (§3.4), out of eight"),
)  # fmt: skip

CLAIM = Claim(
    section="§3.3–§5",
    questions=COUNTS,
    scales={"paper": Scale(dataset=None)},
    differs=(
        "That halved neurons give the geometric mean is exact for one layer under a softmax; for "
        "the two of AlexNet it is near.",
    ),
)
