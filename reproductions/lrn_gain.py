"""Response normalisation lowers top-1 and top-5 error by 1.4 and 1.2 points (§3.3).

The net is trained with normalisation after its first two convolutions and without any. Errors are
of ten crops averaged. The paper does not name the images; the logs with these numbers are of the
validation images of ILSVRC-2012.
"""

from alexnet.config import AlexNetConfig
from reproductions.harness import ALEXNET_2012, IMAGENET_2012, Claim, ablated, both_errors

WITHOUT = ablated("without-norm", AlexNetConfig.original().without_lrn())

CLAIM = Claim(
    section="§3.3",
    questions=both_errors(
        "response normalisation",
        minus=ALEXNET_2012,
        of=WITHOUT,
        paper=(1.4, 1.2),
        # 42.034 and 19.362 (layer-params-148.cfg) − 40.664 and 18.210 (layer-params-145.cfg)
        log_2012=(1.37, 1.152),
        # points: one standard error of a difference of two nets on 50,000 images
        min_effect=0.3,
    ),
    scales=IMAGENET_2012,
    differs=(
        (
            "As in the 2012 pair of nets, #145 and #148, three normalisations go and not the two "
            "of the text: #145 has another one within each map of conv2."
        ),
        (
            "Both nets have the course of net #145 on ILSVRC-2010; in 2012 the two courses "
            "differed by up to seven epochs."
        ),
    ),
)
