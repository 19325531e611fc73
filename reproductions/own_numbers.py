"""The paper's numbers support its order of importance; validation and test agree (§3, §6).

Nothing is trained. §3 orders its sections by importance, the most important first: each must gain
no less than the next. §3.1 is left out, since it gains time and no points. §6 says that validation
and test error differ by no more than 0.1 points, and Table 2 has two such pairs; the last question
asks whether sampling alone lets any two such errors agree so well.

Expected: at paper importance 4, validation 0.100 points, validation_by_chance 0.191 points by a
calculation of seconds.
"""

import itertools
import math

from reproductions.harness import Claim, Count, Scale

TOP1, TOP5 = (1.7, 1.4, 0.4), (1.2, 1.2, 0.3)  # points that §3.2, §3.3 and §3.4 gain
TABLE2 = ((16.4, 16.4), (15.4, 15.3))  # top-5 error on validation and test images: 5, 7 CNNs
IMAGES = (50_000, 150_000)  # for validation, for test

COUNTS = (
    Count(name="importance", paper=4,
          text="gains in §3.2 and §3.3 that are no smaller than the next section's, out of four",
          measure=lambda: sum(gain >= following for gains in (TOP1, TOP5)
                              for gain, following in itertools.pairwise(gains))),
    Count(name="validation", paper=0.1, at_most=True, unit="points",
          text="the largest difference of validation and test error in Table 2",
          measure=lambda: max(round(abs(one - other), 6) for one, other in TABLE2)),
    Count(name="validation_by_chance", paper=0.1, at_most=True, unit="points",
          text="the standard error of that difference by sampling alone, at 16.4 %",
          measure=lambda: 100 * math.sqrt(0.164 * 0.836 * sum(1 / images for images in IMAGES)),
          note="two such samples come within 0.1 points in two cases of five; in the log of net "
          "#137 top-1 differs by 0.18."),
)  # fmt: skip

CLAIM = Claim(
    section="§3, §6",
    questions=COUNTS,
    scales={"paper": Scale(dataset=None)},
    differs=(
        "The test set of ILSVRC-2012 had 100,000 images; §2 gives 150,000 for ILSVRC, and with "
        "fewer chance does more.",
    ),
)
