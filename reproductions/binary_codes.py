"""Binary codes learned by an auto-encoder would retrieve images better than pixels do (§6.1).

The paper suggests it and does not try it. An auto-encoder learns 128 bits for the activations of
fc7 of 10,000 training images. For test images the six nearest of them are sought by the number of
differing bits, by pixels and by the activations themselves. Compared are the shares of neighbours
that have the test image's label, in the same run. The second question asks what the codes cost:
"not supported" there says that they lose less than is of interest.
"""

from reproductions.harness import ORIGINAL, Claim, Difference, imagenet_scales

CLAIM = Claim(
    source="§6.1",
    questions=(
        Difference(
            "over_pixels",
            "same-class nearest neighbours: binary codes minus pixels",
            lower=ORIGINAL,
            higher=ORIGINAL,
            metric="retrieval_pixels",
            higher_metric="retrieval_codes",
            paper=None,
            min_effect=5.0,  # points: as in fig4_retrieval, one neighbour in twenty
        ),
        Difference(
            "loss",
            "same-class nearest neighbours: fc7 features minus binary codes",
            lower=ORIGINAL,
            higher=ORIGINAL,
            metric="retrieval_codes",
            higher_metric="retrieval_features",
            paper=None,
            min_effect=5.0,
        ),
    ),
    scales=imagenet_scales(),
    deviations=(
        (
            "The paper expects more of them than of codes learned from pixels; here they are "
            "compared with the pixels themselves."
        ),
        (
            "The length of the codes and how they are learned are ours (`alexnet/autoencoder.py`); "
            "the paper names neither."
        ),
    ),
)
