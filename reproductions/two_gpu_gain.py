"""Two GPUs have errors 1.7 and 1.2 points below a net with half the kernels on one (§3.2).

The one-column net has half as many kernels in its first four convolutions. Its last convolution and
its hidden layers are whole, as the section's footnote says, so that both nets have about as many
parameters. Errors are of ten crops averaged.
"""

from reproductions.harness import ALEXNET_2012, IMAGENET_2010, ONE_COLUMN, Claim, both_errors

CLAIM = Claim(
    section="§3.2",
    questions=both_errors(
        "the second column",
        minus=ALEXNET_2012,
        of=ONE_COLUMN,
        paper=(1.7, 1.2),
        # 39.1680 and 18.2287 (layer-params-145-half.cfg) − 37.4727 and 16.9987 (-145-2010.cfg)
        log_2012=(1.695, 1.23),
        # points: one standard error of two nets' difference on 50,000 images, as for the ablations
        min_effect=0.3,
    ),
    scales=IMAGENET_2010,
    differs=(
        (
            "Both columns run on one device: what they compute is that of two, and only how long "
            "it takes would differ."
        ),
        (
            "Both nets have the course of net #145; in 2012 the smaller one's rates dropped three "
            "epochs sooner."
        ),
    ),
)
