"""Without any one of its middle layers the network loses about 2 points of top-1 (§7, §1).

The net is trained whole and without conv3, conv4 or conv5, one question each. What follows the
missing layer stays: the pooling after conv5 moves behind conv4, and without conv3 the columns meet
in conv4. Errors are of ten crops averaged. No log of 2012 has such a net; §1 says that removing any
convolution made results worse.

Expected: at mini conv4 -1.46 points [-3.81, 0.89], conv5 -1.28 points (no interval) by 7 of 12 runs
in 2.2 hours on AMD EPYC (AVX-512 bf16); no result yet at paper (20 runs), reduced (12 runs), smoke
(8 runs).
"""

from dataclasses import replace

from alexnet.config import AlexNetConfig
from reproductions.harness import ALEXNET_2012, IMAGENET_2012, Claim, Difference, ablated

CLAIM = Claim(
    section="§7, §1",
    questions=tuple(
        Difference(
            name=layer,
            text=f"top-1 error reduction by {layer}",
            minus=ALEXNET_2012,
            of=ablated(
                f"without-{layer}", replace(AlexNetConfig.original(), removed_layers=(layer,))
            ),
            metric="top1_ten",
            paper=2.0,  # "about 2 %"
            min_effect=0.5,  # points: a quarter of what is claimed
        )
        for layer in ("conv3", "conv4", "conv5")
    ),
    scales=IMAGENET_2012,
    differs=(
        "The paper does not say which layers are the middle ones, nor on which images; here conv3 "
        "to conv5, on ILSVRC-2012.",
        "Nor does it say what becomes of the columns' meeting in conv3 or of the pooling after "
        "conv5; both stay here.",
        "Without conv5 fc6 reads 384 maps, not 256: that net has 79.4 million parameters, 30 % "
        "more than the whole one. With 256 maps in conv4 it would be the net without conv4.",
    ),
)
