"""Averaging ten crops of each image lowers the errors by 1.5 and 1.3 points (§4.1, §6).

Without the ten crops the paper's net has 39.0 % and 18.3 % on ILSVRC-2010 instead of 37.5 % and
17.0 %. Each run is compared with itself: the error of the central crop minus the error of the
average of ten (four corners, centre, and their mirror images).

Expected: at mini top1 0.98 points [0.45, 1.52], top5 1.83 points [1.75, 1.90] by 3 of 3 runs in 47
minutes on AMD EPYC (AVX-512 bf16); no result yet at paper (5 runs), reduced (3 runs), smoke (2
runs).
"""

from reproductions.harness import ALEXNET_2012, IMAGENET_2010, Claim, both_errors

CLAIM = Claim(
    section="§4.1, §6",
    questions=both_errors(
        "ten-crop averaging",
        minus=ALEXNET_2012,
        of=ALEXNET_2012,
        metrics=("top1", "top5"),
        paper=(1.5, 1.3),  # 39.0 − 37.5 and 18.3 − 17.0
        # 39.0247 − 37.4727 and 18.2953 − 16.9987 (layer-params-145-2010.cfg)
        log_2012=(1.552, 1.297),
        min_effect=0.3,  # points: one standard error of two nets' difference on 50,000 images
    ),
    scales=IMAGENET_2010,
)
