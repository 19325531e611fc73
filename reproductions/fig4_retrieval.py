"""Images with similar fc7 features are alike, though their pixels are far apart (Figure 4, §6.1).

For test images the six nearest training images are sought by Euclidean distance, once between the
activations of fc7 and once between pixels. Compared is the share of neighbours that have the test
image's label, in the same run. The figure shows five test images with six neighbours each and eight
with their five most probable classes; the picture here shows both for the same eight, which are
evenly spread over the test split, of the run with seed 0.

Expected: at mini neighbours 5.50 points [5.15, 5.85] by 3 of 3 runs in 47 minutes on AMD EPYC
(AVX-512 bf16); no result yet at paper (5 runs), reduced (3 runs), smoke (2 runs).
"""

from reproductions.harness import ALEXNET_2012, IMAGENET_2012, Claim, Difference

CLAIM = Claim(
    section="Figure 4, §6.1",
    questions=(
        Difference(
            name="neighbours",
            text="same-class nearest neighbours: fc7 features minus pixels",
            minus=ALEXNET_2012,
            of=ALEXNET_2012,
            metric="retrieval_features",
            minus_metric="retrieval_pixels",
            figure="neighbours",
            min_effect=5.0,  # points: one neighbour in twenty; the figure shows 30
        ),
        Difference(
            name="distance",
            text="rank in pixel distance of the six nearest by fc7, minus of those by pixels",
            minus=ALEXNET_2012,
            of=ALEXNET_2012,
            metric="pixel_rank_features",
            minus_metric="pixel_rank_pixels",
            unit="points",
            min_effect=10.0,  # points: outside of the nearest tenth
        ),
    ),
    scales=IMAGENET_2012,
    differs=(
        "The paper shows pictures; of the same class as a measure of alike is our reading.",
        "Neighbours are sought among 10,000 training images for 2,000 test images; the paper has "
        "all of them, for five.",
        "Pixels are those of the central crop, averaged over squares of four by four where its "
        "side is above 64.",
    ),
)
