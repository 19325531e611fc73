"""Pre-trained nets have 39.0 and 16.6 % error, two with five more 36.7 and 15.4 % (§6).

These are the rows "1 CNN*" and "7 CNNs*" of Table 2. A network with a sixth convolution is trained
on the whole Fall 2011 release and then fine-tuned on ILSVRC-2012: layers that fit are taken over,
the last is drawn anew. Only ILSVRC-2012 can decide the printed numbers. Two gains can show on any
images: that of the first training over the same network without it, and that of two such networks
in an average of five.

Expected: no result yet at paper (38 runs), reduced (36 runs), mini (36 runs), smoke (14 runs).
"""

from alexnet.config import AlexNetRecipe
from reproductions.harness import Claim, Ensemble, Variant, both_errors, both_values, imagenet

PLAIN, FINETUNING = imagenet.SIX_CONV, AlexNetRecipe.finetuning()
PRETRAINED = Variant("six-convolutions-pretrained", PLAIN.config, FINETUNING, pretrained=PLAIN)
SEVEN = Ensemble("seven-cnns", ((imagenet.ALEXNET_2012, 5), (PRETRAINED, 2)))
ONE_TEXT = "of one pre-trained network, ten crops"
SEVEN_TEXT = "of seven networks averaged, two pre-trained"
AVERAGES = (0, 1, 2)  # of seven networks each

# log_2012 is of layer-params-146-2012-2011.cfg
ERRORS = both_values(ONE_TEXT, arm=PRETRAINED, paper=(39.0, 16.6), log_2012=(38.99, 16.622))
SEVENS = both_values(SEVEN_TEXT, arm=SEVEN, paper=(36.7, 15.4), seeds=AVERAGES, prefix="seven_")
GAINS = both_errors(  # 40.7 − 39.0 is of two networks that differ in the sixth convolution too
    "pre-training on more classes", of=PLAIN, minus=PRETRAINED, min_effect=0.3, prefix="gain_"
)
SEVEN_GAINS = both_errors(
    "adding two pre-trained networks to an average of five",
    of=imagenet.FIVE_CNNS,
    minus=SEVEN,
    paper=(1.4, 1.0),  # 38.1 − 36.7 and 16.4 − 15.4
    min_effect=0.3,  # points: one standard error of two nets' difference on 50,000 images
    seeds=AVERAGES,
    prefix="seven_gain_",
)

CLAIM = Claim(
    section="Table 2, §6",
    questions=(*ERRORS, *GAINS, *SEVENS, *SEVEN_GAINS),
    scales=imagenet.pretraining_scales(),
    differs=(
        "Below scale paper all 200 classes of Tiny ImageNet are Fall 2011 and every second of them "
        "is ILSVRC-2012: the fine-tuned network has met these classes before, as in the paper, "
        "and its two courses together are longer than the one that it is compared with.",
        "At scale smoke two networks and one are averaged, not five and two.",
        "Training on Fall 2011 starts from random weights and takes eight epochs; in 2012 the "
        "convolutions came from a net of Fall 2009, which had its own from ILSVRC-2012, and a "
        "linear layer of 2048 units came before the classes.",
        "The publisher's Fall 2011 has 14,197,122 images of 21,841 classes, of which a hundredth "
        "is held out; the paper speaks of 15 million of 22,000.",
        "In fine-tuning the last layer has its tenfold rate from the start, not from batch 300 on.",
        "Both pre-trained networks differ in their seed alone; the 2012 files show one of the two.",
        "Averages of seven and five share five networks: the interval of their gain is too wide.",
    ),
)
