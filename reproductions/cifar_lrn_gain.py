"""Response normalisation lowers the error of a four-layer CIFAR-10 net from 13 % to 11 % (§3.3).

cuda-convnet publishes the two networks behind these numbers: two convolutions, two layers of
locally connected filters, crops of 24 pixels. They differ in more than normalisation: the one with
11 % has twice the filters in local3, decays fc10 more and was trained three times as long. So each
is trained with and without normalisation, all else equal: that decides the claim, once in the
narrow net and once in the wide one. The published pair is compared too, with all that differs.
Errors are of ten crops averaged; the 2012 walk-through of the 13 % file ends at 12.6 %.

Expected: no result yet at paper (20 runs), mini (12 runs), smoke (8 runs).
"""

from dataclasses import replace

from alexnet.config import LocallyConnectedConfig, LocallyConnectedRecipe
from reproductions.harness import BF16, NEW_ORDER, Claim, Difference, Scale, Variant

CONFIG, RECIPE = LocallyConnectedConfig(), LocallyConnectedRecipe()
NARROW = Variant("13pct", CONFIG, RECIPE)
NARROW_LRN = Variant("13pct-norm", replace(CONFIG, lrn_layers=("conv1", "conv2")), RECIPE)
CONFIG_11, RECIPE_11 = CONFIG.published_11pct(), RECIPE.published_11pct()
WIDE_LRN = Variant("11pct", CONFIG_11, RECIPE_11)
WIDE = Variant("11pct-without-norm", replace(CONFIG_11, lrn_layers=()), RECIPE_11)

ALONE = Difference(
    name="narrow",
    text="test error reduction by response normalisation alone, in the net of the 13 % file",
    minus=NARROW_LRN,
    of=NARROW,
    metric="top1_ten",
    paper=2.0,  # 13 − 11
    min_effect=0.5,  # points: one standard error of a difference of two nets on 10,000 images
)
IN_WIDE = "test error reduction by response normalisation alone, in the net of the 11 % file"
PUBLISHED = "test error of the 13 % net minus that of the wider and longer trained 11 % net"

CLAIM = Claim(
    section="§3.3",
    questions=(
        ALONE,
        replace(ALONE, name="wide", text=IN_WIDE, minus=WIDE_LRN, of=WIDE),
        replace(ALONE, name="published", text=PUBLISHED, minus=WIDE_LRN),
    ),
    scales={
        "paper": Scale("cifar10"),
        "mini": Scale("cifar10", seeds=3),
        "smoke": Scale("synthetic", seeds=2),
    },
    differs=(
        "The paper names no network; these two are our reading, by their errors and four layers.",
        "Their constants of normalisation are their own, n 5 or 9, α 0.001 / n, k 1, not those of "
        "§3.3. In the 11 % net the first normalisation follows the pooling.",
        "In 2012 a fifth of the images was held out at first; here none, with as many updates.",
        "At scale mini the same nets have a tenth of their courses.",
        "Until March 2012 that code averaged nine crops, none mirrored; here are the ten of §4.1.",
        NEW_ORDER,
        BF16,
    ),
)
