"""Models with overlapping pooling are slightly harder to overfit (§3.4).

The gap of a net is its top-1 error on test images minus that on training images, both of the
central crop and without dropout. The gap with windows of 2 pixels every 2 is compared with the gap
with windows of 3 every 2. The paper reports what its authors generally observed, without a number.
"""

from reproductions.harness import ALEXNET_2012, IMAGENET_2012, NON_OVERLAPPING, Claim, Difference

CLAIM = Claim(
    section="§3.4",
    questions=(
        Difference(
            name="gap",
            text="reduction of test minus training error by overlapping pooling",
            minus=ALEXNET_2012,
            of=NON_OVERLAPPING,
            metric="gap",
            gate="overfits",
            paper=None,
            # points: half of the 0.4 that overlapping gains, if all of it were less overfitting
            min_effect=0.2,
        ),
    ),
    scales=IMAGENET_2012,
    differs=(
        (
            "Windows of 2 leave out the last row and column of odd sides, which keeps the sizes of "
            "all layers."
        ),
        (
            "The gap compares 10,000 training images with the test images; the paper does not say "
            "how overfitting was seen."
        ),
    ),
)
