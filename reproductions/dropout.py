"""Without dropout the network overfits substantially; with it, iterations about double (§4.2).

The net is trained with dropout in its two hidden layers and without. The gap of a net is its top-1
error on test images minus that on training images, both of the central crop and without dropout.
Convergence is the epoch at which the running training error first falls to a target that both nets
reach before their rate first drops: there the two courses differ in nothing but dropout.

Expected: at mini gap 2.19 points [0.74, 3.63], iterations 1.71× [1.50, 1.96] by 6 of 6 runs in 1.3
hours on AMD EPYC (AVX-512 bf16); no result yet at paper (10 runs), reduced (6 runs), smoke (4
runs).
"""

from dataclasses import replace

from alexnet.config import AlexNetConfig
from reproductions.harness import (
    ALEXNET_2012,
    Claim,
    Difference,
    EpochRatio,
    ablated,
    imagenet_scales,
)

WITHOUT = ablated("without-dropout", replace(AlexNetConfig.original(), dropout=False))

CLAIM = Claim(
    section="§4.2",
    questions=(
        Difference(
            name="gap",
            text="reduction of test minus training error by dropout",
            minus=ALEXNET_2012,
            of=WITHOUT,
            metric="gap",
            gate="overfits",
            min_effect=3.5,  # points: what §3.2–§3.4 gain together, 1.7 + 1.4 + 0.4
        ),
        EpochRatio(
            name="iterations",
            text="epochs to the target training error, with dropout over without",
            over=WITHOUT,
            of=ALEXNET_2012,
            target=65.0,  # percent: to be reached before the rate first drops; our choice, untested
            paper=2.0,  # "roughly doubles"
            min_effect=1.25,  # a quarter more iterations, a quarter of the claimed excess
        ),
    ),
    # at smoke 90 is chance; 95 only lets all of the code run
    scales=imagenet_scales(targets=(80.0, 90.0, 95.0)),
    differs=(
        "The paper gives no number for overfitting; what is substantial is our reading.",
        "The running training error of the net with dropout is that of a net with half of its "
        "hidden neurons; of the whole net it would be lower, and the ratio with it.",
        "A target is reached once; what the paper calls convergence may be the end of the whole "
        "course.",
    ),
)
