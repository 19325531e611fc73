"""Response normalisation lowers top-1 and top-5 error by 1.4 and 1.2 points (§3.3).

The net is trained with normalisation after its first two convolutions and without any. Errors are
of ten crops averaged. The paper does not name the images; the logs with these numbers are of the
validation images of ILSVRC-2012.

Expected: at mini top1 1.67 points [1.02, 2.31], top5 2.04 points [0.79, 3.29] by 6 of 6 runs in 1.2
hours on AMD EPYC (AVX-512 bf16); no result yet at paper (10 runs), reduced (6 runs), smoke (4
runs).
"""

from alexnet.config import AlexNetConfig
from reproductions.harness import (
    ALEXNET_2012,
    COURSE_145,
    IMAGENET_2012,
    Claim,
    ablated,
    both_errors,
)

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
        min_effect=0.3,  # points: one standard error of two nets' difference on 50,000 images
    ),
    scales=IMAGENET_2012,
    differs=(
        "As in the 2012 pair of nets, #145 and #148, three normalisations go and not the two of "
        "the text: #145 has another one within each map of conv2.",
        f"{COURSE_145}; in 2012 the two courses differed by up to seven epochs.",
    ),
)
