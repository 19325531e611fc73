"""The two-GPU net takes slightly less time to train than the one-GPU net (§3.2).

Nothing is trained. The multiply-accumulates of one forward pass over one image are counted by layer
arithmetic: half of the two-column net's, since its columns are equal, against all of the one-column
net's, whose last convolution and hidden layers are whole. The paper gives no number for the time;
that each GPU has no more to do than the one GPU is what its statement needs.

Expected: at paper multiply_accumulates 362.203 by a calculation of seconds.
"""

from alexnet.config import AlexNetConfig
from reproductions.harness import Claim, Count, Scale

TWO_GPUS, ONE_GPU = (
    sum(layer.multiply_accumulates for layer in net.layers()) / 1e6
    for net in (AlexNetConfig.original(), AlexNetConfig.original().one_column())
)

CLAIM = Claim(
    section="§3.2",
    questions=(
        Count(
            name="multiply_accumulates",
            text="millions of multiply-accumulates per image on each of two GPUs; at most those of "
            "the one-GPU net",
            paper=ONE_GPU,  # 391.5
            measure=lambda: TWO_GPUS / 2,  # 362.2, which is 0.925 of it
            at_most=True,
        ),
    ),
    scales={"paper": Scale(dataset=None)},
    differs=(
        "Time is not measured: the GTX 580 is gone, and on another machine the exchange between "
        "the GPUs and the memory they read weigh otherwise. The exchange after conv2 and before "
        "each fully connected layer is not counted.",
    ),
)
