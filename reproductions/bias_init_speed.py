"""Biases that start at 1 accelerate the early stages of learning (§5).

The biases of conv2, conv4, conv5 and the hidden layers start at 1, which gives their ReLUs positive
inputs, or at 0 as all others do. The running training error over the whole first epoch is compared:
the lower it is, the sooner the net learned.

Expected: no result yet at paper (10 runs), reduced (6 runs), mini (6 runs), smoke (4 runs).
"""

from dataclasses import replace

from alexnet.config import AlexNetConfig
from reproductions.harness import ALEXNET_2012, IMAGENET_2012, Claim, Difference, ablated

ZERO = ablated("zero-biases", replace(AlexNetConfig.original(), bias_one_layers=()))

CLAIM = Claim(
    section="§5",
    questions=(
        Difference(
            name="first_epoch",
            text="reduction of the first epoch's running training error by biases of 1",
            minus=ALEXNET_2012,
            of=ZERO,
            metric="first_epoch_error",
            gate="",  # on speed
            min_effect=1.0,  # points: ten times what guessing among 1000 classes gets right
        ),
    ),
    scales=IMAGENET_2012,
    differs=(
        "The paper does not say how early or how much; the first epoch is our reading of the "
        "early stages.",
    ),
)
