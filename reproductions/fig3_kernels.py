"""One GPU's kernels hardly see colour, the other's mostly do, in every run (Figure 3, §6.1).

The colour of a kernel of conv1 is the share of its energy that remains after the mean over R, G and
B is subtracted. In each run, how far the mean shares of the two columns are apart is compared with
the same number for random halves of the same kernels: a permutation test within the run. The second
question compares how far a kernel's energy lies in one orientation with the initial kernels.

Expected: no result yet at paper (5 runs), reduced (3 runs), mini (3 runs), smoke (2 runs).
"""

from reproductions.harness import ALEXNET_2012, IMAGENET_2012, Claim, Difference

CLAIM = Claim(
    section="Figure 3, §6.1",
    questions=(
        Difference(
            name="colour",
            text="colour difference between the columns' kernels, minus that of random halves",
            minus=ALEXNET_2012,
            of=ALEXNET_2012,
            metric="colour_gap",
            minus_metric="colour_gap_by_chance",
            beside=("colour_gap_p",),
            figure="kernels",
            min_effect=10.0,  # points: a tenth of the kernels' energy
        ),
        Difference(
            name="orientation",
            text="share of a kernel's energy in one orientation, minus that before training",
            minus=ALEXNET_2012,
            of=ALEXNET_2012,
            metric="orientation",
            minus_metric="orientation_at_start",
            min_effect=10.0,  # points, as above
        ),
    ),
    scales=IMAGENET_2012,
    differs=(
        "The paper shows the kernels of one run and speaks of others; the numbers for what its "
        "figure shows are ours.",
        "Of frequency-selective kernels nothing is measured: noise of five or seven pixels has "
        "most of its energy within one octave, too.",
    ),
)
