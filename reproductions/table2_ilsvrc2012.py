"""One network has 40.7 and 18.2 % error on the validation images of ILSVRC-2012 (Table 2, §6).

This is the row "1 CNN" of Table 2, ten crops averaged. Each printed number is compared with the
spread of our runs: it is confirmed if it could be one more of them. Only ILSVRC-2012 itself can
decide that; the errors on other images are shown and not judged.

The other rows of Table 2 average the predictions of several networks (`ensembles`) or start from
one trained on the Fall 2011 release (`pretraining`). The labels of the 2012 test images were never
published.

Expected: at mini top1 79.69 % [78.52, 80.86], top5 55.05 % [53.81, 56.29] by 3 of 3 runs in 47
minutes on AMD EPYC (AVX-512 bf16); no result yet at paper (5 runs), reduced (3 runs), smoke (2
runs).
"""

from reproductions.harness import ALEXNET_2012, IMAGENET_2012, NEW_ORDER, Claim, both_values

CLAIM = Claim(
    section="Table 2, §6",
    questions=both_values(
        "of one network, ten crops",
        arm=ALEXNET_2012,
        paper=(40.7, 18.2),
        log_2012=(40.664, 18.21),  # layer-params-145.cfg
    ),
    scales=IMAGENET_2012,
    differs=(
        "The course is that of net #145 on ILSVRC-2010: rates drop before epochs 23, 51 and 78 of "
        "93. In the log of the 2012 run they dropped before 25, 51 and 79 of 91.",
        NEW_ORDER,
    ),
)
