"""The paper's numbers support its order of importance; validation and test agree (§3, §6).

Nothing is trained. §3 orders its sections by importance, the most important first: each must gain
no less than the next. §3.1 is left out, since it gains time and no points. §6 says that validation
and test error differ by no more than 0.1 points, and Table 2 has two such pairs; the last question
asks whether sampling alone lets any two such errors agree so well.
"""

import itertools
import math

from reproductions.harness import Claim, Count, Scale

GAINS = {"top-1": (1.7, 1.4, 0.4), "top-5": (1.2, 1.2, 0.3)}  # points, in §3.2, §3.3, §3.4
# top-5 error on validation and on test images: 5 CNNs, 7 CNNs*
TABLE2 = ((16.4, 16.4), (15.4, 15.3))

CLAIM = Claim(
    section="§3, §6",
    questions=(
        Count(
            name="importance",
            text="of the four steps from §3.2 to §3.3 to §3.4, top-1 and top-5, those that gain no "
            "less than the next",
            paper=4,
            measure=lambda: sum(
                gain >= after
                for points in GAINS.values()
                for gain, after in itertools.pairwise(points)
            ),
        ),
        Count(
            name="validation",
            text="points by which validation and test error of Table 2 differ at most",
            paper=0.1,
            measure=lambda: max(round(abs(validation - test), 6) for validation, test in TABLE2),
            at_most=True,
            unit="points",
        ),
        Count(
            name="validation_by_chance",
            text="points by which they differ by sampling alone: the standard error for 50,000 and "
            "150,000 images at 16.4 %",
            paper=0.1,
            measure=lambda: 100 * math.sqrt(0.164 * 0.836 * (1 / 50_000 + 1 / 150_000)),
            at_most=True,
            unit="points",
            note="two such samples come within 0.1 points in two cases of five; in the log of "
            "net #137 top-1 differs by 0.18.",
        ),
    ),
    scales={"paper": Scale(dataset=None)},
    differs=(
        (
            "The test set of ILSVRC-2012 had 100,000 images; §2 gives 150,000 for ILSVRC, and with "
            "fewer chance does more."
        ),
    ),
)
