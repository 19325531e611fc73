"""Binary codes learned by an auto-encoder would retrieve images better than pixels do (§6.1).

The paper suggests it and does not try it. An auto-encoder learns 128 bits for the activations of
fc7 of 10,000 training images. For test images the six nearest of them are sought by the number of
differing bits, by pixels and by the activations themselves. Compared are the shares of neighbours
that have the test image's label, in the same run. The second question asks what the codes cost:
"not supported" there says that they lose less than is of interest.
"""

from reproductions.harness import ALEXNET_2012, IMAGENET_2012, Claim, Difference

CLAIM = Claim(
    section="§6.1",
    questions=(
        Difference(
            name="over_pixels",
            text="same-class nearest neighbours: binary codes minus pixels",
            minus=ALEXNET_2012,
            of=ALEXNET_2012,
            metric="retrieval_codes",
            minus_metric="retrieval_pixels",
            paper=None,
            min_effect=5.0,  # points: as in fig4_retrieval, one neighbour in twenty
        ),
        Difference(
            name="loss",
            text="same-class nearest neighbours: fc7 features minus binary codes",
            minus=ALEXNET_2012,
            of=ALEXNET_2012,
            metric="retrieval_features",
            minus_metric="retrieval_codes",
            paper=None,
            min_effect=5.0,
        ),
    ),
    scales=IMAGENET_2012,
    differs=(
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
