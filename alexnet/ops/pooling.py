"""The pooling of the paper and of the 2012 code: windows two pixels apart, clipped at the edge."""

import torch.nn.functional as F
from torch import Tensor


def max_pool(x: Tensor, size: int = 3) -> Tensor:
    """The largest value of each window of size × size pixels, two pixels apart (§3.4).

    x float [N, C, H, W]; y [N, C, ⌈(H − 3) / 2⌉ + 1, ...] for windows of 3, which are clipped at
    the edge, and [N, C, ⌊H / 2⌋, ...] for windows of 2.
    """
    return F.max_pool2d(x, size, 2, ceil_mode=size == 3)


def average_pool(x: Tensor) -> Tensor:
    """The mean of each window of 3 × 3 pixels, two pixels apart, over its pixels in the image.

    x float [N, C, H, W]; y [N, C, ⌈(H − 3) / 2⌉ + 1, ...].
    """
    # Without padding `count_include_pad` changes nothing, but with True torch 2.15 compiles a
    # backward pass that divides by 9 at the edge.
    return F.avg_pool2d(x, 3, 2, ceil_mode=True, count_include_pad=False)
